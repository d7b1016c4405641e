"""Stopping at once, directly and through the wire."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.engines.protocol import ContainerStatus
from ds01.errors import PermissionDenied
from ds01.records.machine import State
from tests.bed import Bed


def running(bed: Bed) -> set[str]:
    return {seen.name for seen in bed.engine.containers() if seen.status.has_processes}


def started(bed: Bed, login: str, name: str = "thesis") -> None:
    bed.gate.create(bed.actor(login), bed.request(login, name, gpus=0))
    bed.gate.start(bed.actor(login), bed.full(login, name))


def test_everything_of_this_installation_stops_and_nothing_else(bed: Bed, gate: Any) -> None:
    started(bed, "alice")
    started(bed, "bob")
    bed.engine.add_foreign("foreign")
    bed.engine.add_foreign("thesis._.70003", labels={"ds01.managed": "true", "ds01.installation": "another"})
    stopped = gate.emergency_stop(bed.actor("boss"))
    assert set(stopped.containers) == {bed.full("alice"), bed.full("bob")}
    assert running(bed) == {"foreign", "thesis._.70003"}
    assert {record.state for record in bed.records()} == {State.STOPPED}
    assert "emergency_stop" in bed.kinds()


def test_one_owner_only_and_a_plan_of_it(bed: Bed, gate: Any) -> None:
    started(bed, "alice")
    started(bed, "bob")
    planned = gate.emergency_stop(bed.actor("root"), owner=bed.people["bob"], dry_run=True)
    assert planned.containers == (bed.full("bob"),) and len(running(bed)) == 2
    gate.emergency_stop(bed.actor("root"), owner=bed.people["bob"])
    assert running(bed) == {bed.full("alice")}


def test_no_lock_is_waited_for_and_a_lost_record_does_not_matter(bed: Bed, gate: Any) -> None:
    started(bed, "alice", "locked")
    started(bed, "alice", "broken")
    bed.record_file("alice", "broken").write_text("{")
    with bed.ledger.container_lock(bed.full("alice", "locked"), doing="being started by alice"):
        assert len(gate.emergency_stop(bed.actor("boss")).containers) == 2
        assert bed.record("alice", "locked").state is State.RUNNING
    assert running(bed) == set()
    bed.gate.reconcile(bed.actor("root"))
    assert bed.record("alice", "locked").state is State.STOPPED


def test_one_that_cannot_be_stopped_does_not_keep_the_others(
    bed: Bed, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(bed, "alice")
    started(bed, "bob")
    stop = bed.engine.stop

    def stop_but(reference: str, *, grace: float) -> None:
        seen = bed.engine.inspect(reference)
        if seen is not None and seen.name == bed.full("alice"):
            raise PermissionDenied("no")
        stop(reference, grace=grace)

    monkeypatch.setattr(bed.engine, "stop", stop_but)
    stopped = gate.emergency_stop(bed.actor("boss"))
    assert (stopped.containers, stopped.failed) == ((bed.full("bob"),), (f"{bed.full('alice')}: no",))


def test_only_administrators_may(bed: Bed, gate: Any) -> None:
    started(bed, "alice")
    with pytest.raises(PermissionDenied):
        gate.emergency_stop(bed.actor("alice"), owner=bed.people["alice"])
    seen = bed.engine.inspect(bed.full("alice"))
    assert seen is not None and seen.status is ContainerStatus.RUNNING
