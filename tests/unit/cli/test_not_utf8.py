"""Every command refuses arguments, answers and settings that are not UTF-8 before any action."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ds01.cli.ui import prompts
from ds01.commands import COMMANDS
from ds01.journal.events import EventLog
from tests.command_line import CommandLine
from tests.harness import NOON, Harness

LATIN = "B\udcfcro"  # as Python has the argument `Büro` of a terminal in Latin-1


@pytest.mark.sampled(6)
@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_refuses_such_an_argument(words: str, ds: CommandLine) -> None:
    before = sorted(path for path in ds.harness.state.rglob("*"))
    told = ds.fails(2, *words.split(), LATIN)
    assert "an argument is not UTF-8" in told and "'B\\\\xfcro'" in told
    assert sorted(path for path in ds.harness.state.rglob("*")) == before


def test_a_refused_extension_moves_no_deadline(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    before = ds.harness.record_file("alice").read_bytes()
    ds.fails(2, "container-extend", "thesis", "1h", "--reason", LATIN)
    assert ds.harness.record_file("alice").read_bytes() == before


@pytest.mark.parametrize("option", [f"--reason={LATIN}", LATIN])
def test_it_is_refused_inside_an_option_and_as_a_name(option: str, ds: CommandLine) -> None:
    ds.fails(2, "container-extend", "thesis", "1h", option)


def test_an_argument_of_the_command_inside_is_refused_too(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    ds.fails(125, "container-run", "thesis", "--", "cat", LATIN)


def test_for_scripts_it_is_a_document(ds: CommandLine) -> None:
    answer = ds("container-list", LATIN, "--json")
    assert answer.code == 2 and "UTF-8" in answer.json["error"]["message"]


def test_unknown_words_too(ds: CommandLine) -> None:
    ds.fails(2, LATIN)


def test_other_letters_are_no_problem(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    ds.ok("container-extend", "thesis", "1h", "--reason", "Büro 日本")


@pytest.fixture
def latin_folder(ds: CommandLine) -> Iterator[Path]:
    """A folder of alice's whose name is not UTF-8, as the working directory."""
    folder = ds.harness.home("alice") / LATIN
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, ds.harness.people["alice"], -1)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.mark.parametrize("words", ["container-create x pytorch -w .", "image-create x --dockerfile Dockerfile"])
def test_a_relative_path_in_a_folder_of_such_a_name(words: str, ds: CommandLine, latin_folder: Path) -> None:
    assert "not UTF-8" in ds.fails(2, *words.split())
    assert ds.harness.records() == []


def test_a_link_to_a_folder_of_such_a_name(ds: CommandLine, latin_folder: Path) -> None:
    (ds.harness.home("alice") / "link").symlink_to(latin_folder)
    ds.fails(2, "container-create", "x", "pytorch", "-w", str(ds.harness.home("alice") / "link"))
    assert ds.harness.records() == []


def test_an_event_about_such_a_name_is_written(harness: Harness) -> None:
    log = EventLog(harness.root / "events.jsonl", clock=lambda: NOON)
    log.emit("unknown", {"container": LATIN})
    assert log.failure is None and '"container": "B?ro"' in (harness.root / "events.jsonl").read_text()


@pytest.mark.in_process("the environment of this process is the command's")
def test_a_setting_of_ds01_is_refused_and_another_is_ignored(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", LATIN)
    ds.ok("container-list")
    monkeypatch.setenv("DS01_STATE", f"/tmp/{LATIN}")
    assert "DS01_STATE is not UTF-8" in ds.fails(2, "container-list")


def test_an_answer_that_is_not_utf8_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[str | Exception] = [LATIN, UnicodeDecodeError("utf-8", b"\xfc", 0, 1, "invalid start byte"), "fine"]

    def prompt(*_: object, **__: object) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(click, "prompt", prompt)
    assert prompts.ask_line("Name") == "fine"
    assert capsys.readouterr().out.count("That was not UTF-8") == 2
