"""Connecting the terminal to an attachment: raw mode, size changes, copying, signals, restoring."""

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

from ds01.api.types import Attachment

CHUNK_SIZE = 65536  # bytes
EXIT_TIMEOUT = 5.0  # seconds to wait for the exit code after the stream has ended
EXIT_READER_GONE = 128 + signal.SIGPIPE  # the exit code of a program whose output is no longer read

SIGNAL_TIMEOUT = 1.0  # seconds for a program to end after a signal, when its output is no longer read
CLOSED_CHECK_INTERVAL = 1.0  # seconds between checks whether the output is still read
MAX_SIGNALS = 2  # signals to forward before the connection ends, even if the program inside ignores them
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Resize = Callable[[int, int], None]  # rows, columns
SendSignal = Callable[[int], bool]  # false: it could not be sent


class LeftRunning(Exception):
    """A signal ended the connection, and the program inside is still running."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


def connect(
    attachment: Attachment,
    *,
    resize: Resize,
    exit_code: Callable[[], int | None],
    send_signal: SendSignal = lambda number: False,
) -> int:
    """Copy between the terminal and the attachment until the program inside ends; return its exit code.

    Without a terminal, signals that would end this process are forwarded to the program inside, and its end is waited
    for. On a terminal, keys such as Ctrl-C reach it through the stream, so SIGTERM and SIGHUP only end the connection.
    Raises LeftRunning.
    """
    try:
        with socket.socket(fileno=attachment.fileno) as stream:
            stream.setblocking(False)
            if attachment.tty:
                with _raw(sys.stdin.fileno()), watch_signals(signal.SIGWINCH, *_ENDING_SIGNALS[1:]) as signals:
                    _copy(stream, _PlainOutput(attachment.initial_bytes), signals, _terminal_signal_handler(resize))
            else:
                with watch_signals(*_ENDING_SIGNALS) as signals:
                    _copy(
                        stream,
                        _FramedOutput(attachment.initial_bytes),
                        signals,
                        _signal_forwarder(send_signal),
                        until=_output_is_closed,
                    )
    except BrokenPipeError:
        _end_program(send_signal, exit_code)
        return EXIT_READER_GONE
    return 1 if (code := _wait_for_end(exit_code, EXIT_TIMEOUT)) is None else code


def _wait_for_end(exit_code: Callable[[], int | None], seconds: float) -> int | None:
    until = time.monotonic() + seconds
    while (code := exit_code()) is None and time.monotonic() < until:
        time.sleep(0.02)
    return code


def _end_program(send_signal: SendSignal, exit_code: Callable[[], int | None]) -> None:
    """End the program inside as a closed pipe would: by SIGPIPE, or by SIGHUP if it ignores that, as Python does."""
    for number in (signal.SIGPIPE, signal.SIGHUP):
        if not send_signal(number) or _wait_for_end(exit_code, SIGNAL_TIMEOUT) is not None:
            return


def _terminal_signal_handler(resize: Resize) -> Callable[[int], None]:
    def handle(number: int) -> None:
        if number != signal.SIGWINCH:
            raise LeftRunning(number)
        resize(*terminal_size())

    return handle


def _signal_forwarder(send_signal: SendSignal) -> Callable[[int], None]:
    received = 0

    def handle(number: int) -> None:
        nonlocal received
        received += 1
        # After the third signal the user wants to leave, even if the program ignores signals.
        if received > MAX_SIGNALS or not send_signal(number):
            raise LeftRunning(number)

    return handle


def _output_is_closed() -> bool:
    """Return whether stdout and stderr have lost their reader: the caller, such as an SSH connection, is gone."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)  # without a mask, errors and hang-ups are still reported
    return len(poll.poll(0)) == 2


def terminal_size() -> tuple[int, int]:
    """Return rows and columns of the terminal itself; LINES and COLUMNS may be outdated."""
    size = os.get_terminal_size(sys.stdin.fileno())
    return size.lines, size.columns


class _PlainOutput:
    """Writes a terminal's stream to stdout unchanged."""

    def __init__(self, early: bytes) -> None:
        self.feed(early)

    def feed(self, data: bytes) -> None:
        _write(1, data)


class _FramedOutput:
    """Unpacks Docker's frames to stdout and stderr: 1 byte stream, 3 zeros, 4 bytes length, payload."""

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
    sink: _PlainOutput | _FramedOutput,
    signals: int,
    handle: Callable[[int], None],
    *,
    until: Callable[[], bool] | None = None,
) -> None:
    """Copy until the stream ends.

    Input is sent only as fast as it is taken, and output is read meanwhile: a program that writes while it reads, such
    as `cat`, would otherwise cause a deadlock. `handle` gets each signal that arrives. When `until` becomes true, that
    counts as a hang-up.
    """
    stdin: int | None = sys.stdin.fileno()
    pending_input = b""
    while True:
        watched = [item for item in (stream, signals, None if pending_input else stdin) if item is not None]
        timeout = CLOSED_CHECK_INTERVAL if until is not None else None
        ready, writable, _ = select.select(watched, [stream] if pending_input else [], [], timeout)
        if signals in ready:
            for number in os.read(signals, CHUNK_SIZE):
                handle(number)
        if until is not None and until():
            handle(signal.SIGHUP)
            raise LeftRunning(signal.SIGHUP)
        if stdin is not None and stdin in ready:
            pending_input = os.read(stdin, CHUNK_SIZE)
            if not pending_input:
                stdin = None
                with contextlib.suppress(OSError):
                    stream.shutdown(socket.SHUT_WR)
        if writable:
            try:
                pending_input = pending_input[stream.send(pending_input) :]
            except (BrokenPipeError, ConnectionResetError):
                pending_input, stdin = b"", None  # it no longer reads, but its remaining output is read below
        if stream in ready:
            try:
                data = stream.recv(CHUNK_SIZE)
            except ConnectionResetError:
                return
            if not data:
                return
            sink.feed(data)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # another process has set the shared terminal to non-blocking
            select.select([], [descriptor], [])


@contextlib.contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor, termios.TCSADRAIN)  # TCSADRAIN keeps what was typed ahead
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def watch_signals(*numbers: int) -> Iterator[int]:
    """Yield a file descriptor that delivers each arriving signal's number as a byte. Ignored signals stay ignored."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # The handlers do nothing, but without them the wake-up does not happen, or the process ends.
    before = {
        number: signal.signal(number, lambda *_: None)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield reading
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(reading)
        os.close(writing)
