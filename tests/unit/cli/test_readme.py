"""Every example of the README runs, with the output shown there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ds01.main import run
from tests.command_line import CommandLine

TOP = Path(__file__).parents[3]
README = (TOP / "README.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """Each command of the console blocks, and what the README shows below it."""
    found: list[tuple[str, str]] = []
    for block in blocks("console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, shown = found[-1]
                found[-1] = (command, f"{shown}{line}\n")
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="makes the workspaces of people who are played, which only root can")
def test_examples_run_in_order_with_the_shown_output(ds: CommandLine) -> None:
    policy = (TOP / "config" / "resource-limits.yaml").read_text("utf-8")
    (ds.harness.root / "resource-limits.yaml").write_text(policy)
    assert len(examples()) > 12
    for command, shown in examples():
        words = shlex.split(command)
        who = "root" if words[0] == "sudo" else "alice"
        answer = ds(*(word for word in words if word not in ("sudo", "ds01")), who=who)
        assert answer.code == 0, (command, answer)
        if shown:
            assert answer.out == shown, command


def test_the_administrators_examples_in_the_text_run(ds: CommandLine) -> None:
    texts = re.findall(r"`ds01 (gpu (?:allocate|release) [^`]*)`", README)
    assert len(texts) == 2
    for text in texts:
        ds.ok(*shlex.split(text), who="boss")


def test_the_toy_runs_as_it_stands_there(tmp_path: Path) -> None:
    (script,) = blocks("sh")
    script = script.replace(".venv/bin/ds01", f"{shlex.quote(sys.executable)} -m ds01.main")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    ended = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=TOP,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Started toy." in ended.stdout


def test_every_command_that_the_readme_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ds01", "--help"]) == 0
    overview = capsys.readouterr().out
    for name in set(re.findall(r"`(container-[a-z]+)", README)):
        assert f" {name} " in overview, name
