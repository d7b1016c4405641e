"""Programs: their input, output and environment, and the errors when they fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ds01.errors import Ds01Error
from ds01.system import programs

BUNDLE = "/usr/lib/ds01/_internal"


def test_stdin_is_passed_and_stdout_returned() -> None:
    assert programs.run(["cat"], stdin="grüße\n") == "grüße\n"
    assert programs.run(["cat"]) == ""


def test_nothing_goes_through_a_shell() -> None:
    assert programs.run(["echo", "$HOME; `id` *"]) == "$HOME; `id` *\n"


def test_missing_program_is_reported() -> None:
    with pytest.raises(Ds01Error, match="the program ds01-none is not installed") as caught:
        programs.run(["ds01-none", "x"])
    assert caught.value.data == {"program": "ds01-none", "problem": "not_found", "exit_code": None}


def test_failure_has_exit_code_and_output() -> None:
    with pytest.raises(Ds01Error, match="ls failed with code 2") as caught:
        programs.run(["ls", "/there/is/none"])
    assert "/there/is/none" in (caught.value.why or "")
    assert (caught.value.data or {})["exit_code"] == 2


def test_timeout_ends_a_program() -> None:
    with pytest.raises(Ds01Error, match=r"took longer than 0\.05 s"):
        programs.run(["sleep", "20"], timeout=0.05)


def test_administrators_programs_are_found_whatever_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(programs, "ADMIN_PATHS", ("/bin", "/usr/bin"))
    assert programs.run(["echo", "found"]) == "found\n"


def test_a_program_that_is_not_frozen_changes_nothing() -> None:
    given = {"LD_LIBRARY_PATH": "/opt/cuda", "LD_LIBRARY_PATH_ORIG": "mine"}
    assert programs.caller_environment(given, bundle=None) == given


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        ({"LD_LIBRARY_PATH": BUNDLE, "LD_LIBRARY_PATH_ORIG": "/opt/cuda"}, {"LD_LIBRARY_PATH": "/opt/cuda"}),
        ({"LD_LIBRARY_PATH": f"{BUNDLE}:/opt/cuda"}, {"LD_LIBRARY_PATH": "/opt/cuda"}),
        ({"LD_LIBRARY_PATH": BUNDLE}, {}),
        ({"LD_LIBRARY_PATH": BUNDLE, "LD_LIBRARY_PATH_ORIG": ""}, {}),
        ({"LD_LIBRARY_PATH": "/opt/cuda"}, {"LD_LIBRARY_PATH": "/opt/cuda"}),
        ({}, {}),
    ],
)  # fmt: skip
def test_frozen_program_restores_the_callers_library_path(given: dict[str, str], handed_on: dict[str, str]) -> None:
    assert programs.caller_environment({"A": "1"} | given, bundle=BUNDLE) == {"A": "1"} | handed_on


def test_programs_of_a_frozen_ds01_use_the_callers_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/opt/cuda/lib")
    lines = programs.run(["env"]).splitlines()
    assert [line for line in lines if line.startswith("LD_LIBRARY_PATH")] == ["LD_LIBRARY_PATH=/opt/cuda/lib"]
