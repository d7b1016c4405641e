"""Everything that people and scripts read leaves here: without control characters, and fitted to a terminal."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import Any, TextIO

from ds01.errors import Ds01Error


class OutputLost(Ds01Error):
    """Standard output cannot be written, so it is no place to say that either."""


def print_text(text: str = "", *, error: bool = False) -> None:
    """Write lines to stdout, or to stderr; on a terminal they are broken between words."""
    lines = [printable(line) for line in text.split("\n")]
    stream = sys.stderr if error else sys.stdout
    if stream.isatty():
        lines = [part for line in lines for part in wrap_line(line, terminal_width())]
    write_raw("\n".join(lines), stream)


def supports_escape_codes(stream: TextIO) -> bool:
    """Return whether escape codes may be written: to a terminal that understands them."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def supports_colours(stream: TextIO) -> bool:
    """Return whether text may be coloured: see no-color.org."""
    return supports_escape_codes(stream) and not os.environ.get("NO_COLOR")


def clear_screen() -> None:
    """Start at the top of an empty screen; below an empty line where the terminal cannot do that."""
    if supports_escape_codes(sys.stdout):
        write_raw("\x1b[2J\x1b[1;1H", sys.stdout, end="")
    elif sys.stdout.isatty():
        print_text()


def print_json(document: Mapping[str, Any]) -> None:
    """Write the one JSON document of a command to stdout. In ASCII, so that no name in it can steer a terminal."""
    write_raw(json.dumps(document), sys.stdout)


def write_raw(text: str, stream: TextIO, *, end: str = "\n") -> None:
    """Write a finished text. A reader that has gone, as `head` does, does not stop the work."""
    try:
        print(text, file=stream, flush=True, end=end)
    except BrokenPipeError:
        discard_output(stream)
    except OSError as problem:
        discard_output(stream)
        if stream is sys.stdout:
            raise OutputLost("the output cannot be written", why=problem.strerror) from problem


def discard_output(stream: TextIO) -> None:
    """Let what is written from now on, and what Python still keeps back, go nowhere."""
    try:
        null = open_null()
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)
    except OSError:
        # No file can be opened: the stream itself has to go, or Python would complain of it at its end.
        setattr(sys, "stdout" if stream is sys.stdout else "stderr", io.StringIO())


def open_null() -> int:
    """Open a file whose content nobody sees. Raises OSError. In a container or a chroot there may be no /dev/null."""
    try:
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return os.memfd_create("nowhere")


def printable(text: str) -> str:
    """Text without control characters: names from outside must not move a terminal's cursor."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "�" for letter in text)


def wrap_line(line: str, width: int) -> list[str]:
    """A line as lines of at most `width`, if its words allow it; what follows the first is indented."""
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def terminal_width() -> int:
    """The columns of the terminal; 80 if it does not say."""
    return shutil.get_terminal_size().columns
