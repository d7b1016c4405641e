"""The stream between a terminal and a program inside a container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.terminal.attached_program import LEFT, UNREACHABLE
from tests.terminal.conftest import STEP_TIMEOUT, TOP, Typist
from tests.wait import wait_until

Enter = Callable[..., Typist]
Connected = Callable[[str], "subprocess.Popen[bytes]"]


def inside(kind: str, command: str) -> list[str]:
    return [sys.executable, "-m", "tests.terminal.attached_program", kind, command]


@pytest.fixture
def enter() -> Iterator[Enter]:
    opened: list[Typist] = []

    def start(command: str, **environment: str) -> Typist:
        opened.append(Typist(inside("tty", command), dict(os.environ) | environment, rows=30, columns=100))
        return opened[-1]

    yield start
    for typist in opened:
        typist.close()


def test_the_size_is_the_terminals_and_follows_it(enter: Enter) -> None:
    shell = enter("stty size; while read line; do stty size; done", COLUMNS="7", LINES="7")
    shell.expect("30 100")
    shell.resize(50, 132)
    shell.type("again\r")
    shell.expect("50 132")
    shell.resize(24, 80)
    shell.type("again\r")
    shell.expect("24 80")
    shell.type("\x04")
    assert shell.end() == 0


def test_keys_go_inside_and_the_terminal_is_as_before_afterwards(enter: Enter) -> None:
    # What says that it is ready is what the key ends: it need not start anything more.
    shell = enter("trap 'echo interrupted' INT; sh -c 'echo ready; exec cat'; echo after; exit 7")
    shell.expect("ready")
    assert shell.is_raw()
    shell.type("\x03")  # Ctrl-C is for the program inside
    shell.expect("interrupted")
    shell.expect("after")
    assert shell.end() == 7
    assert not shell.is_raw()


def test_what_is_not_ascii_comes_through_whole(enter: Enter) -> None:
    shell = enter('read line; echo "got $line"')
    shell.type("grüße – 😀\r")
    shell.expect("got grüße – 😀")
    assert shell.end() == 0


def piped(command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        inside("frames", command), input=given, capture_output=True, cwd=TOP, timeout=STEP_TIMEOUT, check=False
    )


def test_without_a_terminal_the_two_streams_stay_apart() -> None:
    answer = piped("echo out; echo err >&2; exit 3")
    assert (answer.returncode, answer.stdout, answer.stderr) == (3, b"out\n", b"err\n")


def test_a_program_that_writes_while_it_reads_is_not_waited_for() -> None:
    given = os.urandom(1 << 22)
    answer = piped("cat", given)
    assert answer.returncode == 0 and answer.stdout == given


def test_a_program_that_does_not_read_ends_when_it_ends() -> None:
    assert piped("exec <&-; echo done", b"x" * (1 << 21)).stdout == b"done\n"


def test_a_reader_that_has_gone_is_141() -> None:
    with subprocess.Popen(
        inside("frames", "yes"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=TOP
    ) as program:
        assert program.stdout is not None and program.stderr is not None
        assert program.stdout.read(2) == b"y\n"
        program.stdout.close()
        assert program.wait(STEP_TIMEOUT) == 141
        assert b"Traceback" not in program.stderr.read()


@pytest.fixture
def connected() -> Iterator[Connected]:
    """Connects to a program inside on pipes, as `ssh server 'container-run …'` does; it has said that it is ready."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(command: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            inside("frames", command), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=TOP
        )
        begun.append(process)
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


WAITS = "while :; do sleep 0.05; done"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_without_a_terminal_a_signal_reaches_the_program_inside(connected: Connected, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    process = connected(f"trap 'echo saved; exit 7' {name}; echo ready; {WAITS}")
    process.send_signal(number)
    out, _ = process.communicate(timeout=STEP_TIMEOUT)
    assert (process.returncode, out) == (7, b"saved\n")


def test_a_program_that_ignores_signals_is_left_at_the_third(connected: Connected) -> None:
    process = connected(f"trap 'echo again' TERM; echo ready; {WAITS}")
    assert process.stdout is not None
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == b"again\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(STEP_TIMEOUT) == LEFT + signal.SIGTERM


def test_a_program_that_no_signal_reaches_is_left_at_once(connected: Connected) -> None:
    process = connected(f"echo ready; {WAITS} {UNREACHABLE}")
    process.send_signal(signal.SIGINT)
    assert process.wait(STEP_TIMEOUT) == LEFT + signal.SIGINT


@pytest.mark.parametrize("ignored", ["", "trap '' PIPE;"])
def test_a_program_ends_when_nobody_reads_what_it_writes(connected: Connected, ignored: str, tmp_path: Path) -> None:
    process = connected(f"{ignored} trap 'touch {tmp_path}/ended; exit' PIPE HUP; echo ready; while :; do echo x; done")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(STEP_TIMEOUT) == 128 + signal.SIGPIPE
    assert (tmp_path / "ended").exists()


def test_a_silent_program_ends_when_the_caller_is_gone(connected: Connected, tmp_path: Path) -> None:
    process = connected(f"trap 'touch {tmp_path}/ended; exit' HUP; echo ready; {WAITS}")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    process.wait(STEP_TIMEOUT)
    wait_until((tmp_path / "ended").exists)


def test_a_hang_up_restores_the_terminal(enter: Enter) -> None:
    shell = enter("echo ready; exec cat")
    shell.expect("ready")
    assert shell.is_raw()
    shell.send_signal(signal.SIGTERM)
    assert shell.end() == LEFT + signal.SIGTERM
    assert not shell.is_raw()
