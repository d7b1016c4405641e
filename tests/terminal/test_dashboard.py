"""The dashboard in a real terminal: keys, sizes, signals, and the terminal as it was before."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminal.conftest import Programs, Typist
from tests.wait import wait_until

ALTERNATE, MAIN = "\x1b[?1049h", "\x1b[?1049l"


class Shell:
    """A shell at a terminal, which starts the dashboard and outlives it."""

    def __init__(
        self, programs: Programs, *, columns: int = 80, rows: int = 24, options: str = "", **more: str
    ) -> None:
        command = shlex.join(programs.command("dashboard"))
        # `exec` in the background process of the shell would not be at the terminal, so a second shell tells the pid.
        script = f"sh -c 'echo main=$$; exec {command} {options}'; echo code=$?; stty -a; echo end"
        environment = programs.environment | {"PYTHONPATH": ""} | more
        self.typist = Typist(["sh", "-c", script], environment, rows=rows, columns=columns)
        text = self.typist.expect("main=") and self.typist.expect("\n")
        self.pid = int(text)

    def expect_end(self) -> str:
        """Return what comes from the end of the dashboard on, with the settings of the terminal."""
        return self.typist.expect("end\n")


@pytest.fixture
def start(programs: Programs) -> Iterator[object]:
    shells: list[Shell] = []

    def run(**how: object) -> Shell:
        shells.append(Shell(programs, **how))  # type: ignore[arg-type]
        return shells[-1]

    yield run
    for shell in shells:
        shell.typist.close()


def is_usable(settings: str) -> bool:
    return bool(re.search(r"(?<!-)\bicanon\b", settings) and re.search(r"(?<!-)\becho\b", settings))


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_it_shows_the_gpus_and_quits(start: type[Shell], columns: int, rows: int) -> None:
    shell = start(columns=columns, rows=rows)
    shell.typist.expect(ALTERNATE)
    shell.typist.expect("2g.10gb")
    assert shell.typist.is_raw()
    shell.typist.type("q")
    ended = shell.expect_end()
    assert MAIN in ended and "code=0" in ended and is_usable(ended)


def test_keys_change_the_view(start: type[Shell]) -> None:
    shell = start()
    shell.typist.expect("2g.10gb")
    shell.typist.type("4")
    shell.typist.expect("nobody waits")
    shell.typist.type("\t")
    shell.typist.expect("last tick: never")
    shell.typist.type("h")
    shell.typist.expect("its details")
    shell.typist.type("\x1b")  # Esc, alone
    shell.typist.expect("WHAT HAPPENED")
    shell.typist.type("1")
    shell.typist.expect("WHO")
    shell.typist.type("\x1b[B/1:\r")  # Down, and a filter
    shell.typist.expect("/1:")
    shell.typist.type("q")
    assert "code=0" in shell.expect_end()


def test_ctrl_z_stops_it_and_fg_brings_it_back(programs: Programs) -> None:
    command = shlex.join(programs.command("dashboard"))
    shell = Typist(["bash", "--norc", "--noprofile"], programs.environment | {"PS1": "prompt> "})
    try:
        shell.expect("prompt> ")
        shell.type(f"{command}\r")
        shell.expect("2g.10gb")
        shell.type("\x1a")
        shell.expect(MAIN)
        shell.expect("prompt> ")
        shell.type("fg\r")
        shell.expect(ALTERNATE)
        shell.expect("2g.10gb")
        shell.type("q")
        shell.expect("prompt> ")
        shell.type("echo code=$?\r")
        shell.expect("code=0")
    finally:
        shell.close()


def test_it_follows_the_size_of_the_terminal(start: type[Shell]) -> None:
    shell = start()
    shell.typist.expect("2g.10gb")
    shell.typist.resize(10, 40)
    shell.typist.expect("40x10 is too small")
    shell.typist.resize(50, 200)
    shell.typist.expect("PROCS")
    shell.typist.type("q")
    assert "code=0" in shell.expect_end()


def test_ctrl_c_is_130(start: type[Shell]) -> None:
    shell = start()
    shell.typist.expect("2g.10gb")
    # The shell gets the signal too, and ends when the dashboard has.
    shell.typist.type("\x03")
    shell.typist.expect(MAIN)
    assert shell.typist.end() in (130, -signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_leaves_the_terminal_usable(start: type[Shell], number: signal.Signals) -> None:
    shell = start()
    shell.typist.expect("2g.10gb")
    os.kill(shell.pid, number)
    ended = shell.expect_end()
    assert f"code={128 + number}" in ended
    assert MAIN in ended + shell.typist.seen


def test_the_terminal_is_set_back_after_a_kill(start: type[Shell]) -> None:
    shell = start()
    shell.typist.expect("2g.10gb")
    assert shell.typist.is_raw()
    os.kill(shell.pid, signal.SIGKILL)
    wait_until(lambda: not shell.typist.is_raw())


def test_the_guard_ends_with_the_dashboard(start: type[Shell]) -> None:
    shell = start()
    shell.typist.expect("2g.10gb")
    (guard,) = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
    shell.typist.type("q")
    shell.expect_end()
    wait_until(lambda: not Path(f"/proc/{guard}").exists())


def test_it_ends_when_its_terminal_is_gone(start: type[Shell]) -> None:
    shell = start()
    shell.typist.expect("2g.10gb")
    shell.typist.hang_up()
    wait_until(lambda: not Path(f"/proc/{shell.pid}").exists())


def test_an_unknown_terminal_of_a_known_family_works(start: type[Shell]) -> None:
    shell = start(TERM="xterm-of-tomorrow")
    shell.typist.expect(ALTERNATE)
    shell.typist.expect("2g.10gb")
    shell.typist.type("q")
    assert "code=0" in shell.expect_end()


@pytest.mark.parametrize("kind", ["dumb", "no-such-terminal", "unknown"])
def test_a_terminal_that_cannot_do_it_gets_a_hint(start: type[Shell], kind: str) -> None:
    shell = start(TERM=kind)
    ended = shell.expect_end()
    assert "code=2" in ended and "ds01 status --watch" in ended and ALTERNATE not in ended


def test_a_terminal_without_utf8_gets_ascii(start: type[Shell]) -> None:
    shell = start(LANG="en_US.ISO-8859-1", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    seen = shell.typist.expect("`1:0")
    assert seen.isascii() and "^v select" in seen
    shell.typist.type("q")
    assert "code=0" in shell.expect_end()


def test_utf8_is_used_if_the_named_locale_is_not_installed(start: type[Shell]) -> None:
    shell = start(LANG="xx_YY.UTF-8", LC_ALL="xx_YY.utf8")
    shell.typist.expect("└1:0")
    shell.typist.type("q")
    assert "code=0" in shell.expect_end()


def test_no_color_means_no_colour(start: type[Shell]) -> None:
    shell = start(NO_COLOR="1")
    assert not re.search(r"\x1b\[3[0-7]m", shell.typist.expect("h help"))
    shell.typist.type("q")
    shell.expect_end()
