"""Where the frozen program begins."""

from ds01.main import main

main()
