"""The columns that a text takes on a terminal: wide letters take two, combining ones none. Pure."""

from __future__ import annotations

from functools import lru_cache
from unicodedata import category, east_asian_width


def text_width(text: str) -> int:
    """Return the columns of a printable text."""
    return len(text) if text.isascii() else _summed_width(text)


def cut_to_width(text: str, width: int) -> str:
    """Return the text, shortened with `…` if it takes more than `width` columns."""
    if text_width(text) <= width:
        return text
    kept, used = [], 1  # the ellipsis
    for letter in text:
        used += _letter_width(letter)
        if used > width:
            break
        kept.append(letter)
    return "".join(kept).rstrip() + "…"


@lru_cache(maxsize=4096)  # a screen has the same bars and names again and again
def _summed_width(text: str) -> int:
    return sum(map(_letter_width, text))


def _letter_width(letter: str) -> int:
    if category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(letter) in ("W", "F") else 1
