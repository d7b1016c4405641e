"""Screens as data: lines of styled spans that are fitted to columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ds01.cli.ui.output import printable
from ds01.cli.ui.width import cut_to_width, text_width
from ds01.dataclass import dataclass

# Styles are flags, which can be combined. A colour never says something that the text does not say too.
PLAIN = 0
BOLD = 1
DIM = 2
REVERSE = 4
GREEN = 8
YELLOW = 16
RED = 32
CYAN = 64
_CODES = {BOLD: "1", DIM: "2", REVERSE: "7", GREEN: "32", YELLOW: "33", RED: "31", CYAN: "36"}  # of ECMA-48


class Span(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: int = PLAIN


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Screen:
    """A screen of `width` columns; every line has exactly that width."""

    width: int
    lines: tuple[Line, ...]

    def text(self) -> str:
        """Return the screen without styles, and without spaces at the ends of lines."""
        return "\n".join(line_text(line).rstrip() for line in self.lines)

    def coloured_text(self) -> str:
        """Return the screen with escape codes for the styles."""
        return "\n".join("".join(map(_with_codes, line)).rstrip() for line in self.lines)


def _with_codes(span: Span) -> str:
    codes = ";".join(code for flag, code in _CODES.items() if span.style & flag)
    return f"\x1b[{codes}m{span.text}\x1b[0m" if codes and not span.text.isspace() else span.text


def line_text(line: Iterable[Span]) -> str:
    """Return the text of a line."""
    return "".join(span.text for span in line)


def clean(text: str) -> str:
    """Return a text from outside on one line, without control characters."""
    return printable(" ".join(text.split()))


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return the text in exactly `width` columns, shortened with `…` if it is longer."""
    if width <= 0:
        return ""
    used = text_width(text)
    if used > width:
        text = cut_to_width(text, width)
        used = text_width(text)
    space = " " * (width - used)
    return space + text if right else text + space


def fit(spans: Iterable[Span], width: int, *, fill: int = PLAIN) -> Line:
    """Return the spans in exactly `width` columns. `fill`: the style of the space behind them."""
    fitted: list[Span] = []
    left = width
    for span in spans:
        used = text_width(span.text)
        if used <= left:
            fitted.append(span)
            left -= used
        elif left > 0:
            text = cut_to_width(span.text, left)
            fitted.append(Span(text, span.style))
            left -= text_width(text)
            break
    if left > 0:
        fitted.append(Span(" " * left, fill))
    return tuple(fitted)


def spread(left: Iterable[Span], right: Iterable[Span], width: int) -> Line:
    """Return a line with spans at both ends; if there is too little room, the left part is shortened."""
    ending = fit(right, min(width, sum(text_width(span.text) for span in right)))
    room = width - text_width(line_text(ending))
    return (*fit(left, room - 1), Span(" "), *ending) if room > 1 else fit(ending, width)


def restyle(line: Line, style: int) -> Line:
    """Return the line with `style` added to every span."""
    return tuple(Span(text, old | style) for text, old in line)
