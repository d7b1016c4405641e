"""The wording of all messages: each case of tests/golden reads as tests/golden/messages.txt says."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from ds01.engines.simulated.engine import SimulatedEngine
from ds01.error_codes import ERRORS
from tests.command_line import CommandLine
from tests.golden import page
from tests.golden.case import Case, Stage, run
from tests.golden.cases import CASES

# Codes that no command line on the simulated engine can provoke, with the reason.
WITHOUT_CASE: dict[str, str] = {}


@pytest.fixture
def same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let everything that messages show of the machine be the same on all machines."""
    info = SimulatedEngine.info
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        patch.setattr("ds01.cli.session.host_name", lambda: "gpu.example.org")
        patch.setattr(SimulatedEngine, "info", lambda engine: replace(info(engine), cpus=64, memory_bytes=512 << 30))
        yield
    time.tzset()


@pytest.mark.in_process("records the codes of errors inside")
@pytest.mark.skipif(os.geteuid() != 0, reason="for others, the test's own directories appear in the messages")
@pytest.mark.parametrize("case", CASES, ids=[case.title.replace(" ", "-") for case in CASES])
def test_what_people_read(case: Case, ds: CommandLine, same_everywhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as exits:
        section = run(case, Stage(ds, monkeypatch, exits))
    sections = page.read()
    if os.environ.get(page.WRITE):
        assert "PYTEST_XDIST_WORKER" not in os.environ, (
            "workers would overwrite each other's sections: run it without -n"
        )
        page.write(sections | {case.title: section}, [known.title for known in CASES])
    elif section != sections.get(case.title, ""):
        pytest.fail(page.difference(sections.get(case.title, ""), section), pytrace=False)


def test_the_file_has_the_sections_of_the_cases_in_their_order() -> None:
    assert [title for title, count in Counter(case.title for case in CASES).items() if count > 1] == []
    assert [*page.read()] == [case.title for case in CASES], page.COMMAND


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_code_has_a_case(code: str) -> None:
    found = re.findall(r"^\[exit \d+, (\S+)\]$", page.PAGE.read_text("utf-8"), re.MULTILINE)
    assert (code in found) != (code in WITHOUT_CASE)
