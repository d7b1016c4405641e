"""Images that are committed from a container of ds01 pass its labels on: what is made of them is foreign."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.engines.protocol import Devices, EngineContainer
from tests import legal
from tests.acts import ALICE, fill
from tests.bed import Bed


def labels_of(bed: Bed, container: str) -> dict[str, str]:
    seen = bed.engine.inspect(container)
    assert isinstance(seen, EngineContainer)
    return dict(seen.labels)


def names(bed: Bed) -> set[str]:
    return {seen.name for seen in bed.engine.containers()}


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("name", ["mine._.70001", "mine._.70002", "mine", f"{ALICE}.anew", "mine._.70001.anew"])
@pytest.mark.parametrize("removed", [True, False])
@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(days=1)])
def test_one_of_another_name_is_neither_adopted_nor_removed(
    bed: Bed, name: str, running: bool, removed: bool, later: timedelta
) -> None:
    fill(bed, "alice", start=True)
    labels = labels_of(bed, ALICE)
    if removed:
        bed.gate.remove(bed.actor("alice"), ALICE, force=True)
    bed.clock.advance(seconds=later.total_seconds())
    bed.engine.add_foreign(name, labels=labels, running=running)
    bed.another_gate().reconcile(bed.actor("root"))
    assert [record.container_name for record in bed.records()] == ([] if removed else [ALICE])
    assert name in names(bed)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(days=1), timedelta(days=40)])
def test_nor_one_of_the_same_name(bed: Bed, gate: Any, running: bool, later: timedelta) -> None:
    fill(bed, "alice", start=True)
    labels = labels_of(bed, ALICE)
    bed.gate.remove(bed.actor("alice"), ALICE, force=True)
    bed.clock.advance(seconds=later.total_seconds())
    bed.ledger.clear_up(removed_before=bed.clock() - timedelta(days=30))
    bed.engine.add_foreign(ALICE, labels=labels, running=running, devices=Devices((bed.uuid["1:2"],)))
    gate.reconcile(bed.actor("root"))
    assert bed.records() == [] and ALICE in names(bed)
    states = {row.slot: row.state for row in gate.gpus(bed.actor("bob")).slots}
    assert states["1:2"] == ("busy_outside" if running else "free")
    assert gate.emergency_stop(bed.actor("boss")).containers == ()


def test_a_create_that_was_given_up_leaves_nothing(bed: Bed) -> None:
    """Docker makes the container after ds01 stopped waiting for it."""
    fill(bed, "alice")
    record = bed.record("alice")
    with bed.ledger.transaction() as ledger:  # as `create` writes it before Docker is asked
        entry = ledger.records[ALICE]
        assert entry == record
    labels = labels_of(bed, ALICE)
    bed.engine.remove_by_force(ALICE)
    path = bed.record_file("alice")
    text = path.read_text().replace(f'"{record.docker_id}"', "null")
    path.write_text(text)
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.records() == []
    bed.clock.advance(minutes=2)
    bed.engine.add_foreign(ALICE, labels=labels, running=False)
    bed.another_gate().reconcile(bed.actor("root"))
    assert ALICE not in names(bed)
    legal.check_settled(bed)


@pytest.mark.parametrize("key", ["ds01.container", "ds01.created", "ds01.id", "ds01.uid"])
def test_every_label_has_to_be_there_for_a_rebuild(bed: Bed, key: str) -> None:
    fill(bed, "alice")
    labels = labels_of(bed, ALICE)
    bed.engine.remove_by_force(ALICE)
    bed.record_file("alice").unlink()
    bed.engine.add_foreign(ALICE, labels={name: text for name, text in labels.items() if name != key})
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.records() == []
