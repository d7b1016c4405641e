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


def put(text: str = "", *, error: bool = False) -> None:
    """Write lines to stdout, or to stderr; on a terminal they are broken between words."""
    lines = [printable(line) for line in text.split("\n")]
    stream = sys.stderr if error else sys.stdout
    if stream.isatty():
        lines = [part for line in lines for part in wrap(line, terminal_width())]
    send("\n".join(lines), stream)


def takes_codes(stream: TextIO) -> bool:
    """Return whether escape codes may be written: to a terminal that understands them."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def takes_colours(stream: TextIO) -> bool:
    """Return whether text may be coloured: see no-color.org."""
    return takes_codes(stream) and not os.environ.get("NO_COLOR")


def clear_screen() -> None:
    """Start at the top of an empty screen; below an empty line where the terminal cannot do that."""
    if takes_codes(sys.stdout):
        send("\x1b[2J\x1b[1;1H", sys.stdout, end="")
    elif sys.stdout.isatty():
        put()


def put_json(document: Mapping[str, Any]) -> None:
    """Write the one JSON document of a command to stdout. In ASCII, so that no name in it can steer a terminal."""
    send(json.dumps(document), sys.stdout)


def send(text: str, stream: TextIO, *, end: str = "\n") -> None:
    """Write a finished text. A reader that has gone, as `head` does, does not stop the work."""
    try:
        print(text, file=stream, flush=True, end=end)
    except BrokenPipeError:
        mute(stream)
    except OSError as problem:
        mute(stream)
        if stream is sys.stdout:
            raise OutputLost("the output cannot be written", why=problem.strerror) from problem


def mute(stream: TextIO) -> None:
    """Let what is written from now on, and what Python still keeps back, go nowhere."""
    try:
        nowhere = open_nowhere()
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
    except OSError:
        # No file can be opened: the stream itself has to go, or Python would complain of it at its end.
        setattr(sys, "stdout" if stream is sys.stdout else "stderr", io.StringIO())


def open_nowhere() -> int:
    """Open a file whose content nobody sees. Raises OSError. In a container or a chroot there may be no /dev/null."""
    try:
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return os.memfd_create("nowhere")


def printable(text: str) -> str:
    """Text without control characters: names from outside must not move a terminal's cursor."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "�" for letter in text)


def wrap(line: str, width: int) -> list[str]:
    """A line as lines of at most `width`, if its words allow it; what follows the first is indented."""
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def terminal_width() -> int:
    """The columns of the terminal; 80 if it does not say."""
    return shutil.get_terminal_size().columns
