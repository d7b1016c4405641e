"""Choose the TERM of a program inside: the caller's if the image knows it, otherwise a similar terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

# These need no terminfo file from the image: they are built into curses, or every image has them.
PLAIN = frozenset({"xterm", "xterm-256color", "vt100", "vt220", "linux", "ansi", "dumb"})
FOLDERS = ("/usr/share/terminfo", "/lib/terminfo", "/etc/terminfo")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}")
# Terminals with 256 colours whose names do not say so; all of them understand xterm's sequences.
_COLOURFUL = ("xterm-", "alacritty", "kitty", "foot", "wezterm", "ghostty", "contour", "rio", "konsole", "vte", "st-")
_MULTIPLEXERS = ("screen", "tmux")


def terminal_type(wanted: str, has_file: Callable[[str], bool]) -> str:
    """Return a TERM that programs inside know. `has_file`: whether the image has a file."""
    if wanted in PLAIN:
        return wanted
    if not _NAME.fullmatch(wanted):
        return "xterm"
    for name in (wanted, *_relatives(wanted)):
        if name in PLAIN or any(has_file(f"{folder}/{name[0]}/{name}") for folder in FOLDERS):
            return name
    return "xterm"


def _relatives(wanted: str) -> tuple[str, ...]:
    """Return the terminals that this one behaves like, the most similar first."""
    colours = "256color" in wanted or wanted.startswith(_COLOURFUL)
    last = ("xterm-256color",) if colours else ("xterm",)
    if wanted.startswith(_MULTIPLEXERS):
        return ("screen-256color", *last) if colours else ("screen", *last)
    return last
