"""The image commands, a file each."""
