"""The command line on the simulated engine, for users who exist only in the test: in process, or as a program.

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

GROUP = 70100  # the group that shares the state directory, like `docker` on a server
TIMEOUT = 60.0  # seconds for a program on a busy machine

REAL_ACTOR = Session.__dict__["actor"]  # the real implementation
ANNOUNCEMENT = "[simulated: the engine and the GPUs]\n"

NAMES = ("my-thesis", "one", "two", "three", "second", "running", "held", "fresh", "new", "runs", "other", "mine",
         "gone", "stopped", "broken", "n" * 60)  # fmt: skip


def prepare_home_directories(harness: Harness) -> None:
    """Create all directories; without root they belong to the tester, so let the policy allow them."""
    if os.geteuid() == 0:
        return
    policy = harness.root / "resource-limits.yaml"
    policy.write_text(policy.read_text().replace("workspace: []", f"workspace: [{harness.root}/home]"))
    for login in harness.people:
        for name in NAMES:
            (harness.home(login) / "workspace" / name).mkdir(exist_ok=True)


@dataclass
class CommandResult:
    """The result of a command line: exit code and output, without the line that announces the simulation."""

    code: int
    out: str
    err: str
    announced: bool  # whether that line was printed

    @property
    def json(self) -> Any:
        """The JSON document on stdout. Fails if there is any other output."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


class CommandLine(ABC):
    """Runs commands as `who`, without a terminal. The commands use the harness's clock and `os.environ`."""

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
        """Let ds01 determine the actor itself from now on, by the ids of the process and SUDO_UID."""

    @abstractmethod
    def make_stderr_terminal(self) -> None:
        """Let stderr be a terminal from now on."""

    @property
    @abstractmethod
    def caller(self) -> tuple[int, int]:
        """Return uid and gid of `who`."""

    @abstractmethod
    def _run(self, words: tuple[str, ...], stdout: TextIO | None) -> tuple[int, str, str]:
        """Run a command line as `who`; return exit code, stdout and stderr. `stdout`: a file for its output."""

    def __call__(
        self, *words: str, who: str | None = None, now: str | None = None, stdout: TextIO | None = None
    ) -> CommandResult:
        """Run `ds("container-stop", "thesis")` like that program. `now`: replaces the harness's time in DS01_NOW."""
        before, self.who = self.who, who or self.who
        self._monkeypatch.setenv("DS01_NOW", now or format_time(self.harness.clock()))
        try:
            code, out, err = self._run(words, stdout)
        finally:
            self.who = before
        check_output(words, out, err, root=(who or self.who) == "root")
        return CommandResult(code, out, err.replace(ANNOUNCEMENT, ""), ANNOUNCEMENT in err)

    def ok(self, *words: str, who: str | None = None) -> str:
        """Run a command that must succeed; return its output."""
        result = self(*words, who=who)
        assert result.code == 0, result
        return result.out

    def fails(self, code: int, *words: str, who: str | None = None) -> str:
        """Run a command that must fail with `code` and without a traceback; return its error."""
        result = self(*words, who=who)
        assert result.code == code, result
        assert result.err.startswith("Error: ") or "\nError: " in result.err, result
        assert "Traceback" not in result.err and "internal error in ds01" not in result.err, result
        return result.err

    def error(self, *words: str, who: str | None = None) -> dict[str, Any]:
        """Run a command with --json that must fail; return its error: code, exit, message, why, hint, data."""
        own = words.index("--") if "--" in words else len(words)
        result = self(*words[:own], "--json", *words[own:], who=who)
        error: dict[str, Any] = result.json["error"]
        assert result.code == error["exit"] != 0, result
        return error

    def state(self, name: str = "thesis", who: str = "alice") -> str:
        """Return the state in the record."""
        return self.harness.record(who, name).state.value


class InProcess(CommandLine):
    """Calls `main.run` in this process, with a replaced actor."""

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
    """Starts a program with the ids of the user. Needs root."""

    def __init__(self, harness: Harness, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        super().__init__(harness, monkeypatch)
        self._path = path
        self._terminal = False

    def use_real_identity(self) -> None:
        """Do nothing: a program always does that."""

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
        """Return the words to start: the link of that name beside the program, if there is one."""
        if words and words[0] in program_names() and (named := self._path.with_name(words[0])).exists():
            return [str(named), *words[1:]]
        return [str(self._path), *words]


def _read_terminal(terminal: int) -> bytes:
    """Return the output on a closed terminal, as far as the kernel has buffered it."""
    terminal_output = b""
    with suppress(OSError):  # EIO: end of output
        while part := os.read(terminal, 65536):
            terminal_output += part
    os.close(terminal)
    return terminal_output.replace(b"\r\n", b"\n")
