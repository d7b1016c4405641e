"""The whole command line on the simulated engine, for people who are played: in process, or as a program.

A test with the fixture `ds` runs both ways: `pytest --program=PATH` takes the program, and of all tests these, without
those that are marked `in_process`, and with some cases of those that are marked `sampled`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pytest

from ds01.cli.session import Session
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.main import program_names, run
from ds01.system.data import format_time
from tests.advice_checks import check_output
from tests.harness import GPUS, Harness

GROUP = 70100  # shares the state folder of a program's bed, as `docker` does on a server
TIMEOUT = 60.0  # seconds that a program may take; a busy machine is slow

REAL_ACTOR = Session.__dict__["actor"]  # as ds01 has it
ANNOUNCEMENT = "[simulated: the engine and the GPUs]\n"

NAMES = ("my-thesis", "one", "two", "three", "second", "running", "held", "fresh", "new", "runs", "other", "mine",
         "gone", "stopped", "broken", "n" * 60)  # fmt: skip


def prepare_home_directories(harness: Harness) -> None:
    """Unless root runs the tests, all folders are the tester's: let the policy allow them, and make them all."""
    if os.geteuid() == 0:
        return
    policy = harness.root / "resource-limits.yaml"
    policy.write_text(policy.read_text().replace("workspace: []", f"workspace: [{harness.root}/home]"))
    for login in harness.people:
        for name in NAMES:
            (harness.home(login) / "workspace" / name).mkdir(exist_ok=True)


@dataclass
class CommandResult:
    """What a command line left: its exit code, and what it wrote, without the line that says what is simulated."""

    code: int
    out: str
    err: str
    announced: bool  # there was that line

    @property
    def json(self) -> Any:
        """The one document on stdout. Fails if there is another, or anything else."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


class CommandLine(ABC):
    """Runs commands as `who`, with nobody at the keyboard. The bed's clock and `os.environ` are the commands' too."""

    def __init__(self, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        self.harness = harness
        self.who = "alice"
        self.engine = SimulatedEngine(harness.state / "simulated-engine.json", clock=harness.clock)
        self._monkeypatch = monkeypatch
        prepare_home_directories(harness)
        for name in ("SUDO_UID", "DS01_DOCKER_SOCKET", "NO_COLOR", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("DS01_STATE", str(harness.state))
        monkeypatch.setenv("DS01_CONFIG", str(harness.root / "resource-limits.yaml"))
        monkeypatch.setenv("DS01_ENGINE", "simulated")
        monkeypatch.setenv("DS01_GPUS", f"simulated:{GPUS}")

    @abstractmethod
    def use_real_identity(self) -> None:
        """From now on ds01 finds out itself who acts: by the numbers of the process, and SUDO_UID."""

    @abstractmethod
    def make_stderr_terminal(self) -> None:
        """From now on stderr is a terminal."""

    @property
    @abstractmethod
    def caller(self) -> tuple[int, int]:
        """The real uid and gid of `who`."""

    @abstractmethod
    def _run(self, words: tuple[str, ...], stdout: TextIO | None) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a command line of `who`; `stdout` is a file for it to write to."""

    def __call__(
        self, *words: str, who: str | None = None, now: str | None = None, stdout: TextIO | None = None
    ) -> CommandResult:
        """`ds("container-stop", "thesis")`, as the program of that name. `now`: another DS01_NOW than the bed's."""
        before, self.who = self.who, who or self.who
        self._monkeypatch.setenv("DS01_NOW", now or format_time(self.harness.clock()))
        try:
            code, out, err = self._run(words, stdout)
        finally:
            self.who = before
        check_output(words, out, err, root=(who or self.who) == "root")
        return CommandResult(code, out, err.replace(ANNOUNCEMENT, ""), ANNOUNCEMENT in err)

    def ok(self, *words: str, who: str | None = None) -> str:
        """What a command says that has to go well."""
        result = self(*words, who=who)
        assert result.code == 0, result
        return result.out

    def fails(self, code: int, *words: str, who: str | None = None) -> str:
        """What a command complains of that has to fail with `code`; nothing of it is a traceback."""
        result = self(*words, who=who)
        assert result.code == code, result
        assert result.err.startswith("Error: ") or "\nError: " in result.err, result
        assert "Traceback" not in result.err and "internal error in ds01" not in result.err, result
        return result.err

    def state(self, name: str = "thesis", who: str = "alice") -> str:
        """The state in the record."""
        return self.harness.record(who, name).state.value


class InProcess(CommandLine):
    """Calls `main.run`. It stays the tester's process, which acts for whoever is played."""

    def __init__(self, harness: Harness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(harness, monkeypatch)
        self._capsys = capsys
        monkeypatch.setattr(Session, "actor", property(lambda session: session.users.actor(harness.people[self.who])))

    def use_real_identity(self) -> None:
        self._monkeypatch.setattr(Session, "actor", REAL_ACTOR)
        self._monkeypatch.setattr(os, "getuid", lambda: self.harness.people[self.who])
        self._monkeypatch.setattr(os, "geteuid", lambda: self.harness.people[self.who])

    def make_stderr_terminal(self) -> None:
        self._monkeypatch.setattr(type(sys.stderr), "isatty", lambda stream: stream is sys.stderr, raising=False)

    @property
    def caller(self) -> tuple[int, int]:
        return os.getuid(), os.getgid()

    def _run(self, words: tuple[str, ...], stdout: TextIO | None) -> tuple[int, str, str]:
        self._capsys.readouterr()
        with redirect_stdout(stdout or sys.stdout):
            code = run(["/usr/bin/ds01", *words])
        return code, *self._capsys.readouterr()


class Program(CommandLine):
    """Starts a program, each time with the numbers of who is played. Only root can."""

    def __init__(self, harness: Harness, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        super().__init__(harness, monkeypatch)
        self._path = path
        self._terminal = False

    def use_real_identity(self) -> None:
        """It always does."""

    def make_stderr_terminal(self) -> None:
        self._terminal = True

    @property
    def caller(self) -> tuple[int, int]:
        return self.harness.people[self.who], self.harness.people[self.who]

    def _run(self, words: tuple[str, ...], stdout: TextIO | None) -> tuple[int, str, str]:
        uid, gid = self.caller
        inherited = {
            name: value for name, value in os.environ.items() if name.startswith("DS01_") or name == "SUDO_UID"
        }
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.harness.home(self.who)),
            "LANG": "C.UTF-8",
            **inherited,
        }
        terminal, stderr = os.openpty() if self._terminal else (None, subprocess.PIPE)
        try:
            process = subprocess.run(
                self._command(words), user=uid, group=gid, extra_groups=[GROUP], env=environment,
                stdin=subprocess.DEVNULL, stdout=stdout or subprocess.PIPE, stderr=stderr, timeout=TIMEOUT,
                check=False,
            )  # fmt: skip
        finally:
            if terminal is not None:
                os.close(stderr)
                terminal_output = _read_terminal(terminal)
        return (
            process.returncode,
            (process.stdout or b"").decode(),
            (process.stderr if terminal is None else terminal_output).decode(),
        )

    def _command(self, words: tuple[str, ...]) -> list[str]:
        """As it is typed: by the name that the program was linked to beside itself, if it has one."""
        if words and words[0] in program_names() and (named := self._path.with_name(words[0])).exists():
            return [str(named), *words[1:]]
        return [str(self._path), *words]


def _read_terminal(terminal: int) -> bytes:
    """What was shown at a terminal that nobody has open any more; a line of it fits what the kernel keeps."""
    terminal_output = b""
    with suppress(OSError):  # EIO: that was all
        while part := os.read(terminal, 65536):
            terminal_output += part
    os.close(terminal)
    return terminal_output.replace(b"\r\n", b"\n")
