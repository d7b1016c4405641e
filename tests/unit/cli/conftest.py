"""The whole command line in process, on the simulated engine, for people who are played."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ds01.cli.session import Session
from ds01.engines.simulated import SimulatedEngine
from ds01.main import run
from ds01.system.data import format_time
from tests.bed import GPUS, Bed

ANNOUNCEMENT = "[simulated: the engine and the GPUs]\n"

NAMES = ("my-thesis", "one", "two", "three", "second", "running", "held", "fresh", "new", "runs", "other", "mine",
         "gone", "n" * 60)  # fmt: skip


def lend_homes(bed: Bed) -> None:
    """Unless root runs the tests, all folders are the tester's: let the policy allow them, and make them all."""
    if os.geteuid() == 0:
        return
    policy = bed.root / "resource-limits.yaml"
    policy.write_text(policy.read_text().replace("workspace: []", f"workspace: [{bed.root}/home]"))
    for login in bed.people:
        for name in NAMES:
            (bed.home(login) / "workspace" / name).mkdir(exist_ok=True)


@dataclass
class Answer:
    """What a command line left: its exit code, and what it wrote, without the line that says what is simulated."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout. Fails if there is another, or anything else."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


class CommandLine:
    """Calls `main.run` as `who`. The bed's clock is the commands' too."""

    def __init__(self, bed: Bed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.bed = bed
        self.who = "alice"
        self.engine = SimulatedEngine(bed.state / "simulated-engine.json", clock=bed.clock)
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        lend_homes(bed)
        monkeypatch.setattr(Session, "actor", property(lambda session: session.users.actor(bed.people[self.who])))
        for name in ("SUDO_UID", "DS01_DOCKER_SOCKET", "NO_COLOR", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("DS01_STATE", str(bed.state))
        monkeypatch.setenv("DS01_CONFIG", str(bed.root / "resource-limits.yaml"))
        monkeypatch.setenv("DS01_ENGINE", "simulated")
        monkeypatch.setenv("DS01_GPUS", f"simulated:{GPUS}")

    def __call__(self, *words: str, who: str | None = None) -> Answer:
        """`ds("container-stop", "thesis")`, as the program of that name."""
        before, self.who = self.who, who or self.who
        self._monkeypatch.setenv("DS01_NOW", format_time(self.bed.clock()))
        self._capsys.readouterr()
        try:
            code = run(["/usr/bin/ds01", *words])
        finally:
            self.who = before
        out, err = self._capsys.readouterr()
        return Answer(code, out, err.replace(ANNOUNCEMENT, ""))

    def ok(self, *words: str, who: str | None = None) -> str:
        """What a command says that has to go well."""
        answer = self(*words, who=who)
        assert answer.code == 0, answer
        return answer.out

    def fails(self, code: int, *words: str, who: str | None = None) -> str:
        """What a command complains of that has to fail with `code`; nothing of it is a traceback."""
        answer = self(*words, who=who)
        assert answer.code == code, answer
        assert answer.err.startswith("Error: ") or "\nError: " in answer.err, answer
        assert "Traceback" not in answer.err and "something unexpected" not in answer.err, answer
        return answer.err

    def state(self, name: str = "thesis", who: str = "alice") -> str:
        """The state in the record."""
        return self.bed.record(who, name).state.value


@pytest.fixture
def ds(bed: Bed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    """The command line, nobody at the keyboard."""
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        yield CommandLine(bed, monkeypatch, capsys)
