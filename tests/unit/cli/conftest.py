"""Fixtures for commands on the simulated engine, without a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import CommandLine, InProcess, Program
from tests.harness import Harness


@pytest.fixture
def ds(request: pytest.FixtureRequest, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    """The command line in process, or as the program that --program names."""
    if path := request.config.getoption("program"):
        yield Program(harness, monkeypatch, path)
        return
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        yield InProcess(harness, monkeypatch, request.getfixturevalue("capsys"))
