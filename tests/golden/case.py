"""A case of the golden file: what was done before, the command line as typed, and what the user sees."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ds01 import main
from ds01.errors import Ds01Error
from ds01.gpus.simulated import parse_inventory
from tests.command_line import CommandLine, prepare_home_directories

_RANDOM_ID = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{12}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\b")

_ADMINISTRATORS = "groups: {admins: {members: [boss], admin: true}}\nmounts: {workspace: []}\n"
_SECONDS = re.compile(r"\bin \d+\.\d\d s\b")  # how long a tick took


@dataclass(frozen=True)
class Stage:
    """The server that a case plays on. `exits`: what is entered here ends with the case."""

    ds: CommandLine
    monkeypatch: pytest.MonkeyPatch
    exits: ExitStack

    def path(self, name: str) -> Path:
        """Return the path of a file on this server; `~` is alice's home, and every directory above it is made."""
        root = self.ds.harness.root
        path = self.ds.harness.home("alice") / name[2:] if name.startswith("~/") else root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Step:
    """Something that happened before the command: in words for the golden file, and as a function."""

    text: str
    act: Callable[[Stage], object]


@dataclass(frozen=True)
class Case:
    """`command`: as typed by alice, or by another user as in `bob$ container-list`; ROOT stands for the harness's root.

    `given`: what happened before, in order: such command lines, which must succeed, and steps.
    """

    title: str
    command: str
    given: tuple[str | Step, ...] = ()


def run(case: Case, stage: Stage) -> str:
    """Play a case; return its section of the golden file."""
    lines = [f"## {case.title}", ""]
    for event in case.given:
        lines.append(f"({event.text})" if isinstance(event, Step) else _prompt(event))
        if isinstance(event, Step):
            event.act(stage)
        else:
            who, words = _parse(event, stage)
            stage.ds.ok(*words, who=who)
    who, words = _parse(case.command, stage)
    codes = _record_codes(stage.monkeypatch)
    result = stage.ds(*words, who=who)
    code = f", {codes[-1]}" if codes else ""
    lines += [_prompt(case.command), *(result.out + result.err).splitlines(), f"[exit {result.code}{code}]"]
    return _without_variable_parts("\n".join(lines), stage) + "\n"


def _parse(line: str, stage: Stage) -> tuple[str, list[str]]:
    """Return user and words of a command line."""
    who, _, command = line.rpartition("$ ")
    return who or "alice", shlex.split(command.replace("ROOT", str(stage.ds.harness.root)))


def _prompt(line: str) -> str:
    return line if "$ " in line else f"alice$ {line}"


def _record_codes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the code of every error is added that the command reports."""
    codes: list[str] = []
    report = main._report_failure

    def record(failure: Ds01Error, code: int, **options: Any) -> None:
        codes.append(failure.code)
        report(failure, code, **options)

    monkeypatch.setattr(main, "_report_failure", record)
    return codes


def _without_variable_parts(text: str, stage: Stage) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()  # undecodable bytes of arguments
    text = _SECONDS.sub("in 0.00 s", text)
    return _RANDOM_ID.sub("ID", text.replace(str(stage.ds.harness.root), "ROOT"))


# Steps that several cases need.


def policy(text: str) -> Step:
    """Let the policy be `text`, with the administrators' group and no mounts."""

    def act(stage: Stage) -> None:
        stage.ds.harness.set_policy(f"{text}\n{_ADMINISTRATORS}")
        prepare_home_directories(stage.ds.harness)

    return Step(f"the policy is now {text}", act)


def policy_text(text: str) -> Step:
    """Let the file of the policy contain `text`, valid or not."""
    return Step(f"the policy's file is now {text!r}", lambda stage: stage.path("resource-limits.yaml").write_text(text))


def gpus(text: str) -> Step:
    """Let the server have these GPUs."""

    def act(stage: Stage) -> None:
        stage.monkeypatch.setenv("DS01_GPUS", f"simulated:{text}")
        stage.ds.harness.inventory = parse_inventory(text)

    return Step(f"the server's GPUs are {text}", act)


def file(name: str, content: str | bytes = "") -> Step:
    """Write a file, as `Stage.path` names it; below ~ it and its directory are alice's."""

    def act(stage: Stage) -> None:
        path = stage.path(name)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if name.startswith("~/"):
            alice = stage.ds.harness.people["alice"]
            os.chown(path, alice, alice)
            os.chown(path.parent, alice, alice)

    shown = repr(content) if len(content) < 400 else f"{len(content)} characters"
    return Step(f"the file {name} contains {shown}", act)


def env(name: str, value: str) -> Step:
    """Set a variable of the environment."""
    return Step(f"{name}={value}", lambda stage: stage.monkeypatch.setenv(name, value))


def later(**by: float) -> Step:
    """Let time pass."""
    words = ", ".join(f"{number:g} {unit if number != 1 else unit[:-1]}" for unit, number in by.items())
    return Step(f"{words} later", lambda stage: stage.ds.harness.clock.advance(**by))


def outside(text: str, act: Callable[[Stage], object]) -> Step:
    """Let something happen outside ds01."""
    return Step(text, act)


docker_down = Step("Docker is down", lambda stage: stage.ds.engine.set_answering(False))
