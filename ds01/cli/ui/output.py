"""All output for people and scripts goes through here: without control characters, and fitted to a terminal."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import Any, TextIO
from weakref import WeakSet

from ds01.cli.ui.width import cut_to_width
from ds01.errors import Ds01Error

_discarded: WeakSet[TextIO] = WeakSet()  # streams whose reader is gone


class OutputLost(Ds01Error):
    """Standard output cannot be written, so the error cannot be reported there either."""


def print_text(text: str = "", *, error: bool = False) -> None:
    """Write lines to stdout, or to stderr; on a terminal they are broken between words."""
    lines = [printable(line) for line in text.split("\n")]
    stream = sys.stderr if error else sys.stdout
    if stream.isatty():
        lines = [part for line in lines for part in wrap_line(line, terminal_width())]
    write_raw("\n".join(lines), stream)


def print_line(text: str) -> None:
    """Write one line to stdout, whatever is in the text; on a terminal it is cut to the width."""
    line = printable("".join(" " if letter.isspace() else letter for letter in text))
    if sys.stdout.isatty():
        line = cut_to_width(line, terminal_width())
    write_raw(line, sys.stdout)


def reader_is_gone(stream: TextIO | None = None) -> bool:
    """Return whether nobody reads stdout (or `stream`) any more: the pipe was closed at the other end."""
    stream = stream or sys.stdout
    if stream in _discarded:
        return True
    try:
        poller = select.poll()
        poller.register(stream.fileno(), 0)
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in poller.poll(0))
    except (OSError, ValueError):  # no descriptor
        return False


def supports_escape_codes(stream: TextIO) -> bool:
    """Return whether escape codes may be written: to a terminal that understands them."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def supports_colours(stream: TextIO) -> bool:
    """Return whether text may be coloured: see no-color.org."""
    return supports_escape_codes(stream) and not os.environ.get("NO_COLOR")


def terminal_type() -> str:
    """Return the type of the terminal; `unknown` if it has none."""
    return os.environ.get("TERM") or "unknown"


def names_utf8() -> bool:
    """Return whether the environment names a locale in UTF-8, installed or not: SSH hands on the client's."""
    locale = next(filter(None, (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    return locale.lower().replace("-", "").partition(".")[2].startswith("utf8")


def use_terminal_type(name: str) -> None:
    """Let libraries treat the terminal as one of this type."""
    os.environ["TERM"] = name


def clear_screen() -> None:
    """Clear the screen; print an empty line on terminals that cannot do that."""
    if supports_escape_codes(sys.stdout):
        write_raw("\x1b[2J\x1b[1;1H", sys.stdout, end="")
    elif sys.stdout.isatty():
        print_text()


def print_json(document: Mapping[str, Any]) -> None:
    """Write a command's JSON document to stdout. In ASCII, so that no name in it can control a terminal."""
    write_raw(json.dumps(document), sys.stdout)


def write_raw(text: str, stream: TextIO, *, end: str = "\n") -> None:
    """Write a text. A reader that closes the pipe early, as `head` does, does not stop the work."""
    try:
        print(text, file=stream, flush=True, end=end)
    except BrokenPipeError:
        _discarded.add(stream)
        discard_output(stream)
    except OSError as problem:
        discard_output(stream)
        if stream is sys.stdout:
            raise OutputLost("the output cannot be written", why=problem.strerror) from problem


def discard_output(stream: TextIO) -> None:
    """Discard everything written from now on, and what Python still buffers."""
    try:
        null = open_null()
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)
    except OSError:
        # No file can be opened: replace the stream, or Python reports an error at exit.
        setattr(sys, "stdout" if stream is sys.stdout else "stderr", io.StringIO())


def open_null() -> int:
    """Open a file that discards output: a container or chroot may lack /dev/null. Raises OSError."""
    try:
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return os.memfd_create("nowhere")


def printable(text: str) -> str:
    """Return the text without control characters: names from outside must not move a terminal's cursor."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "�" for letter in text)


def wrap_line(line: str, width: int) -> list[str]:
    """Break a line into lines of at most `width`, if its words allow it; all but the first are indented."""
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def terminal_width() -> int:
    """Return the columns of the terminal; 80 if unknown."""
    return shutil.get_terminal_size().columns
