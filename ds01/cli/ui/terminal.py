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

from ds01.api.types import Attachment

CHUNK_SIZE = 65536  # bytes
EXIT_TIMEOUT = 5.0  # seconds that the engine may take to say the exit code after the stream has ended
EXIT_READER_GONE = 128 + signal.SIGPIPE  # what a program has as its code whose output nobody reads any more

SIGNAL_TIMEOUT = 1.0  # seconds that a program gets to end after a signal, when nobody reads its output any more
CLOSED_CHECK_INTERVAL = 1.0  # seconds between looks whether anybody still reads the output
MAX_SIGNALS = 2  # forwarded before the connection ends, whatever the program inside does
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Resize = Callable[[int, int], None]  # rows, columns
SendSignal = Callable[[int], bool]  # false: it could not be sent


class LeftRunning(Exception):
    """A signal ended the connection, and the program inside goes on."""

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
    """Copy between the terminal and the attachment until the program inside ends; its exit code.

    Without a terminal, signals that would end this program go to the one inside, whose end is waited for. On one, keys
    like Ctrl-C do that; SIGTERM and SIGHUP then end the connection alone. Raises LeftRunning.
    """
    try:
        with socket.socket(fileno=attachment.fileno) as stream:
            stream.setblocking(False)
            if attachment.tty:
                with _raw(sys.stdin.fileno()), _signals(signal.SIGWINCH, *_ENDING_SIGNALS[1:]) as signals:
                    _copy(stream, _PlainOutput(attachment.initial_bytes), signals, _terminal_signal_handler(resize))
            else:
                with _signals(*_ENDING_SIGNALS) as signals:
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
    """End the program inside as one here would: by SIGPIPE, and where that is ignored, as Python does, by SIGHUP."""
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
        # Whoever asks a third time wants to be rid of it, whatever the program makes of the signals.
        if received > MAX_SIGNALS or not send_signal(number):
            raise LeftRunning(number)

    return handle


def _output_is_closed() -> bool:
    """Whether both outputs have lost their reader: the caller, an SSH connection say, is gone."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)  # errors and hang-ups are reported all the same
    return len(poll.poll(0)) == 2


def terminal_size() -> tuple[int, int]:
    """Rows and columns of the terminal itself: what LINES and COLUMNS say is older."""
    size = os.get_terminal_size(sys.stdin.fileno())
    return size.lines, size.columns


class _PlainOutput:
    """A terminal's stream goes to stdout as it comes."""

    def __init__(self, early: bytes) -> None:
        self.feed(early)

    def feed(self, data: bytes) -> None:
        _write(1, data)


class _FramedOutput:
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
    sink: _PlainOutput | _FramedOutput,
    signals: int,
    handle: Callable[[int], None],
    *,
    until: Callable[[], bool] | None = None,
) -> None:
    """Copy until the stream ends. What was typed is sent as fast as it is taken, and meanwhile output is read: a
    program that writes while it reads, such as `cat`, would otherwise wait for us and we for it.

    `handle` gets each signal that arrives. When `until` becomes true, that is a hang-up.
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
                pending_input, stdin = b"", None  # it reads no more; what it still says is read below
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
def _signals(*numbers: int) -> Iterator[int]:
    """A file number from which the numbers of signals that arrive are read, a byte each. What was ignored stays so."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # A handler that does nothing: without one nothing wakes up, or the process ends.
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
