"""Images committed from our containers inherit their labels; containers created from them are not ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.engines.protocol import Devices, EngineContainer
from tests import invariants
from tests.actions import ALICE_THESIS, create_container
from tests.harness import Harness


def labels_of(harness: Harness, container: str) -> dict[str, str]:
    seen = harness.engine.inspect(container)
    assert isinstance(seen, EngineContainer)
    return dict(seen.labels)


def names(harness: Harness) -> set[str]:
    return {seen.name for seen in harness.engine.containers()}


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("name", ["mine._.70001", "mine._.70002", "mine", f"{ALICE_THESIS}.anew", "mine._.70001.anew"])
@pytest.mark.parametrize("removed", [True, False])
@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(days=1)])
def test_one_of_another_name_is_neither_adopted_nor_removed(
    harness: Harness, name: str, running: bool, removed: bool, later: timedelta
) -> None:
    create_container(harness, "alice", start=True)
    labels = labels_of(harness, ALICE_THESIS)
    if removed:
        harness.gate.remove(harness.actor("alice"), ALICE_THESIS, force=True)
    harness.clock.advance(seconds=later.total_seconds())
    harness.engine.add_foreign(name, labels=labels, running=running)
    harness.another_gate().reconcile(harness.actor("root"))
    assert [record.container_name for record in harness.records()] == ([] if removed else [ALICE_THESIS])
    assert name in names(harness)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(days=1), timedelta(days=40)])
def test_nor_one_of_the_same_name(harness: Harness, gate: Any, running: bool, later: timedelta) -> None:
    create_container(harness, "alice", start=True)
    labels = labels_of(harness, ALICE_THESIS)
    harness.gate.remove(harness.actor("alice"), ALICE_THESIS, force=True)
    harness.clock.advance(seconds=later.total_seconds())
    harness.ledger.delete_expired(removed_before=harness.clock() - timedelta(days=30))
    harness.engine.add_foreign(ALICE_THESIS, labels=labels, running=running, devices=Devices((harness.uuid["1:2"],)))
    gate.reconcile(harness.actor("root"))
    assert harness.records() == [] and ALICE_THESIS in names(harness)
    states = {row.slot: row.state for row in gate.gpus(harness.actor("bob")).slots}
    assert states["1:2"] == ("busy_outside" if running else "free")
    assert gate.emergency_stop(harness.actor("boss")).containers == ()


def test_a_create_that_was_given_up_leaves_nothing(harness: Harness) -> None:
    """Docker makes the container after ds01 stopped waiting for it."""
    create_container(harness, "alice")
    record = harness.record("alice")
    with harness.ledger.transaction() as ledger:  # as `create` writes it before Docker is asked
        entry = ledger.records[ALICE_THESIS]
        assert entry == record
    labels = labels_of(harness, ALICE_THESIS)
    harness.engine.remove_by_force(ALICE_THESIS)
    path = harness.record_file("alice")
    text = path.read_text().replace(f'"{record.docker_id}"', "null")
    path.write_text(text)
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.records() == []
    harness.clock.advance(minutes=2)
    harness.engine.add_foreign(ALICE_THESIS, labels=labels, running=False)
    harness.another_gate().reconcile(harness.actor("root"))
    assert ALICE_THESIS not in names(harness)
    invariants.check_settled(harness)


@pytest.mark.parametrize("key", ["ds01.container", "ds01.created", "ds01.id", "ds01.uid"])
def test_every_label_has_to_be_there_for_a_rebuild(harness: Harness, key: str) -> None:
    create_container(harness, "alice")
    labels = labels_of(harness, ALICE_THESIS)
    harness.engine.remove_by_force(ALICE_THESIS)
    harness.record_file("alice").unlink()
    harness.engine.add_foreign(ALICE_THESIS, labels={name: text for name, text in labels.items() if name != key})
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.records() == []
