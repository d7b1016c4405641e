"""The program that measures still runs: what it measures changes under it."""

from __future__ import annotations

import re

import pytest

from ds01.system import locks
from tests.bench.allocation import allocation


def test_an_allocation_is_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "hold", locks.hold)  # what it wraps is as before afterwards
    allocation(slots=7, records=3, runs=2)
    shown = re.search(r"([0-9.]+) ms under the lock, ([0-9.]+) ms in all", capsys.readouterr().out)
    assert shown is not None
    assert 0 < float(shown[1]) < float(shown[2])
