"""The bed that tests of the gate lie in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bed import Bed


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path / "bed")
