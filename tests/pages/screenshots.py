"""The pictures of docs/images, of the demo server. `python -m tests.pages.screenshots` writes them with Chromium."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.pages.browser import browser, find_chromium, serve
from tests.pages.demo_pages import demo_pages
from tests.pages.png import shrink

IMAGES = Path(__file__).parents[2] / "docs" / "images"
# Name: path, width, height, dark.
PICTURES = {
    "status-desk.png": ("/status", 1100, 1230, False),
    "status-phone.png": ("/status", 375, 1000, True),
    "report-desk.png": ("/report", 1100, 1680, False),
    "report-phone.png": ("/report", 375, 1180, True),
}


def main() -> int:
    """Write the pictures."""
    program = find_chromium()
    if program is None:
        print("no chromium to take the pictures with", file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    with serve(demo_pages()) as server, browser(program) as tab:
        for name, (path, width, height, dark) in PICTURES.items():
            tab.show(width, dark=dark)
            tab.open(server.address + path)
            picture = shrink(tab.screenshot(width, height))
            (IMAGES / name).write_bytes(picture)
            print(f"{name}: {len(picture) // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
