"""The race on file systems that store whole seconds, where timestamps do not show the latest writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import coarse_timestamps
from tests.harness import Harness
from tests.race.test_queue_race import test_each_is_served_once_in_order_of_priority as serve_in_order
from tests.race.test_race import check_round, folder, make, race, warm

__all__ = ["folder", "warm"]
ROUNDS = 6


@pytest.fixture
def coarse_folder() -> Iterator[Path]:
    with coarse_timestamps.coarse_filesystem() as mounted:
        if mounted is None:
            pytest.skip("no file system can be mounted here: the test with cut timestamps has to do")
        yield mounted


def rounds(harness: Harness) -> None:
    for _ in range(ROUNDS):
        check_round(harness, race(harness))
        for record in harness.records():
            harness.gate.remove(harness.context.users.actor(record.uid), record.container_name, force=True)


def test_on_ext4_with_inodes_of_128_bytes(coarse_folder: Path) -> None:
    rounds(make(coarse_folder / "bed"))


def test_a_queue_on_ext4_with_inodes_of_128_bytes(coarse_folder: Path) -> None:
    serve_in_order(coarse_folder)


def test_with_cut_timestamps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coarse_timestamps.truncate_timestamps(monkeypatch, folder)
    rounds(make(folder / "bed"))
