"""Without a terminal no command waits for input."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ds01 import commands
from tests.terminal.conftest import TOP, Programs

ASKING = {  # what each command says that has to be asked something, without its arguments
    "container create": "no name", "container deploy": "no name", "container cleanup": "which containers",
    "container run": "needs a terminal", "container extend": "DURATION",
    **{f"container {verb}": "which container" for verb in ("start", "stop", "remove", "retire", "pause", "unpause")},
    **dict.fromkeys(("dir create", "git init", "readme create", "devcontainer init"), "which project"),
    **{f"gpu {verb}": "--container" for verb in ("allocate", "release", "mark-stopped", "clear-stopped", "validate")},
}  # fmt: skip


@pytest.mark.parametrize("kind", ["nothing", "a silent pipe"])
def test_no_command_waits_for_input(kind: str, programs: Programs) -> None:
    made = programs.piped("container-deploy", "thesis", "pytorch", "--background")
    assert made.returncode == 0, made
    programs.piped("container-create", "other", "pytorch", "--cpu-only")
    reading, writing = os.pipe()
    try:
        every = subprocess.run(
            [sys.executable, "-m", "tests.terminal.every_command"], env=programs.environment, cwd=TOP, check=True,
            stdin=reading if kind == "a silent pipe" else subprocess.DEVNULL, capture_output=True, timeout=100,
        )  # fmt: skip
    finally:
        os.close(reading)
        os.close(writing)
    answers = json.loads(every.stdout)
    assert answers.keys() == commands.COMMANDS.keys()
    for words, (code, errors) in answers.items():
        # Those of the administration are refused in a state folder of one's own, or find something.
        assert code == 2 if words in ASKING else code in (0, 1, 2, 3, 6), (words, code, errors)
        assert ASKING.get(words, "") in errors and "Traceback" not in errors, (words, errors)


def test_commands_that_are_fully_said_need_nobody(programs: Programs) -> None:
    for words in (
        "container-deploy thesis pytorch --guided",
        "container-run thesis -- true",
        "container-pause thesis",
        "container-unpause thesis",
        "container-stop thesis",
        "container-start thesis",
        "container-retire thesis",
    ):
        answer = programs.piped(*words.split())
        assert answer.returncode == 0, answer


def test_a_program_that_runs_inside_need_not_wait_for_input_either(programs: Programs) -> None:
    programs.piped("container-deploy", "thesis", "pytorch")
    reading, writing = os.pipe()
    try:
        answer = programs.piped("container-run", "thesis", "--", "true", stdin=reading)
    finally:
        os.close(reading)
        os.close(writing)
    assert (answer.returncode, "simulated" in answer.stdout) == (0, True)


@pytest.mark.parametrize(
    ("words", "closed"),
    [
        ("container-list --json", "0<&-"),
        ("container-list --json", "1>&-"),
        ("container-list --nonsense", "2>&-"),
        ("container-list", "0<&- 1>&- 2>&-"),
    ],
)
def test_closed_streams_are_no_crash(words: str, closed: str, programs: Programs) -> None:
    line = f"{shlex.join(programs.command(*words.split()))} {closed}"
    answer = subprocess.run(
        ["sh", "-c", line], env=programs.environment, cwd=TOP, capture_output=True, text=True, timeout=20, check=False
    )
    assert answer.returncode == (2 if "nonsense" in words else 0), answer
    assert "Traceback" not in answer.stderr and "Exception" not in answer.stderr


@pytest.mark.parametrize("words", ["container-list", "--help", "container-create --help", "container-list --json"])
def test_a_full_disk_is_said_and_not_more(words: str, programs: Programs) -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            programs.command(*words.split()), env=programs.environment, cwd=TOP, stdout=full, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True, timeout=20, check=False,
        )  # fmt: skip
    assert answer.returncode == 1, answer
    assert "No space left" in answer.stderr and "Traceback" not in answer.stderr and "Exception" not in answer.stderr


def test_a_reader_that_goes_early_does_not_stop_the_work(programs: Programs) -> None:
    line = f"{shlex.join(programs.command('container-deploy', 'thesis', 'pytorch'))} | head -c 1"
    answer = subprocess.run(
        ["sh", "-c", line], env=programs.environment, cwd=TOP, capture_output=True, text=True, timeout=20, check=False
    )
    assert "Broken" not in answer.stderr and "Exception" not in answer.stderr
    assert programs.harness.record("alice").state.value == "running"


def test_another_encoding_is_no_crash(programs: Programs) -> None:
    programs.environment |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX"}
    programs.piped("container-deploy", "thesis", "pytorch")
    for words in ("container-list", "gpu status", "container-exit", "container-stop nothing"):
        assert "Traceback" not in programs.piped(*words.split()).stderr


def test_a_state_folder_that_cannot_be_written_is_an_error_in_words(programs: Programs) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    programs.harness.state.chmod(0o555)
    try:
        answer = programs.piped("container-deploy", "thesis", "pytorch")
    finally:
        programs.harness.state.chmod(0o755)
    assert answer.returncode == 1 and "Permission denied" in answer.stderr and "unexpected" not in answer.stderr


def test_python_has_nothing_to_add(programs: Programs) -> None:
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-m", "ds01.main", "container-list"], env=programs.environment,
        cwd=TOP, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False,
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, "[simulated: the engine and the GPUs]\n")
