"""A fake program inside a container: a shell on its own terminal, or on pipes, at the end of a stream.

python -m tests.terminal.attached_program tty|frames SHELL-COMMAND     as `container-run` connects to it
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import selectors
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading

from ds01.cli.ui.terminal import LeftRunning, connect, terminal_size
from ds01.engines.protocol import Attachment

UNREACHABLE = "# no signal reaches this"  # in a command that the engine cannot find
LEFT = 200  # and the signal: the exit code when the program inside is left running


def main() -> int:
    tty, command = sys.argv[1] == "tty", sys.argv[2]
    ours, theirs = socket.socketpair()
    master, slave = pty.openpty()

    def resize(rows: int, columns: int) -> None:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    if tty:
        resize(*terminal_size())
        process = subprocess.Popen(
            ["sh", "-c", command], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        threading.Thread(target=_copy_terminal, args=(theirs, master), daemon=True).start()
    else:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            ["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
        )
        threading.Thread(target=_feed, args=(theirs, process), daemon=True).start()
        threading.Thread(target=_frame, args=(theirs, process), daemon=True).start()

    def send_signal(number: int) -> bool:
        if UNREACHABLE in command:
            return False
        os.killpg(process.pid, number)
        return True

    attachment = Attachment(ours.detach(), "session", tty)
    try:
        return connect(attachment, resize=resize, exit_code=process.poll, send_signal=send_signal)
    except LeftRunning as left:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)  # it may be ending by that signal
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return LEFT + left.signal


def _copy_terminal(stream: socket.socket, master: int) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        selector.register(master, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                try:
                    data = os.read(key.fd, 65536)
                except OSError:
                    data = b""
                if not data:
                    stream.shutdown(socket.SHUT_RDWR)
                    return
                os.write(master if key.fileobj is stream else stream.fileno(), data)


def _feed(stream: socket.socket, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):  # a program need not read
        while data := stream.recv(65536):
            process.stdin.write(data)
        process.stdin.close()


def _frame(stream: socket.socket, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None and process.stderr is not None
    # Whoever was connected may have gone, and then nothing is to be said, least of all on the standard error of a test.
    with contextlib.suppress(OSError), selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, 1)
        selector.register(process.stderr, selectors.EVENT_READ, 2)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 65536)
                if data:
                    stream.sendall(bytes([key.data, 0, 0, 0]) + len(data).to_bytes(4, "big") + data)
                else:
                    selector.unregister(key.fileobj)
        process.wait()
        stream.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    sys.exit(main())
