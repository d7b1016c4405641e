"""The terminal at an attachment: raw mode, size changes, copying, restoring. Knows the attachment only."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator

from ds01.engines.protocol import Attachment

CHUNK = 65536  # bytes
EXIT_WAIT = 5.0  # seconds that the engine may take to say the exit code after the stream has ended
READER_GONE = 128 + signal.SIGPIPE  # what a program has as its code whose output nobody reads any more

Resize = Callable[[int, int], None]  # rows, columns


def connect(attachment: Attachment, *, resize: Resize, exit_code: Callable[[], int | None]) -> int:
    """Copy between the terminal and the attachment until the program inside ends; its exit code."""
    try:
        with socket.socket(fileno=attachment.fileno) as stream:
            stream.setblocking(False)
            if attachment.tty:
                with _raw(sys.stdin.fileno()), _size_changes() as changes:
                    _copy(stream, _Plain(attachment.early), changes, lambda: resize(*size()))
            else:
                _copy(stream, _Frames(attachment.early))
    except BrokenPipeError:
        return READER_GONE
    until = time.monotonic() + EXIT_WAIT
    while (code := exit_code()) is None and time.monotonic() < until:
        time.sleep(0.02)
    return 1 if code is None else code


def size() -> tuple[int, int]:
    """Rows and columns of the terminal itself: what LINES and COLUMNS say is older."""
    found = os.get_terminal_size(sys.stdin.fileno())
    return found.lines, found.columns


class _Plain:
    """A terminal's stream goes to stdout as it comes."""

    def __init__(self, early: bytes) -> None:
        self.feed(early)

    def feed(self, data: bytes) -> None:
        _write(1, data)


class _Frames:
    """Docker's frames: 1 byte stream, 3 zeros, 4 bytes length, payload."""

    def __init__(self, early: bytes) -> None:
        self._buffer = b""
        self.feed(early)

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            length = int.from_bytes(self._buffer[4:8], "big")
            if len(self._buffer) < 8 + length:
                return
            _write(2 if self._buffer[0] == 2 else 1, self._buffer[8 : 8 + length])
            self._buffer = self._buffer[8 + length :]


def _copy(
    stream: socket.socket,
    sink: _Plain | _Frames,
    changes: int | None = None,
    changed: Callable[[], None] = lambda: None,
) -> None:
    """Copy until the stream ends. What was typed is sent as fast as it is taken, and meanwhile output is read: a
    program that writes while it reads, such as `cat`, would otherwise wait for us and we for it.
    """
    stdin: int | None = sys.stdin.fileno()
    typed = b""
    while True:
        watched = [item for item in (stream, changes, None if typed else stdin) if item is not None]
        ready, writable, _ = select.select(watched, [stream] if typed else [], [])
        if changes is not None and changes in ready:
            os.read(changes, CHUNK)
            changed()
        if stdin is not None and stdin in ready:
            typed = os.read(stdin, CHUNK)
            if not typed:
                stdin = None
                with contextlib.suppress(OSError):
                    stream.shutdown(socket.SHUT_WR)
        if writable:
            try:
                typed = typed[stream.send(typed) :]
            except (BrokenPipeError, ConnectionResetError):
                typed, stdin = b"", None  # it reads no more; what it still says is read below
        if stream in ready:
            try:
                data = stream.recv(CHUNK)
            except ConnectionResetError:
                return
            if not data:
                return
            sink.feed(data)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # others have the same terminal, and set it so
            select.select([], [descriptor], [])


@contextlib.contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed ahead stays
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _size_changes() -> Iterator[int]:
    """A file number that becomes readable when the terminal's size changed."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handler = signal.signal(signal.SIGWINCH, lambda *_: None)  # without a handler nothing wakes up
    try:
        yield reading
    finally:
        signal.signal(signal.SIGWINCH, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(reading)
        os.close(writing)
