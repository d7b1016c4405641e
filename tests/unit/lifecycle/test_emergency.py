"""Emergency stop, directly and through JSON."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.engines.protocol import ContainerStatus
from ds01.errors import PermissionDenied
from ds01.records.state_machine import State
from tests.harness import Harness


def running(harness: Harness) -> set[str]:
    return {seen.name for seen in harness.engine.containers() if seen.status.has_processes}


def started(harness: Harness, login: str, name: str = "thesis") -> None:
    harness.gate.create(harness.actor(login), harness.request(login, name, gpus=0))
    harness.gate.start(harness.actor(login), harness.full(login, name))


def test_everything_of_this_installation_stops_and_nothing_else(harness: Harness, gate: Any) -> None:
    started(harness, "alice")
    started(harness, "bob")
    harness.engine.add_foreign("foreign")
    harness.engine.add_foreign("thesis._.70003", labels={"ds01.managed": "true", "ds01.installation": "another"})
    stopped = gate.emergency_stop(harness.actor("boss"))
    assert set(stopped.containers) == {harness.full("alice"), harness.full("bob")}
    assert running(harness) == {"foreign", "thesis._.70003"}
    assert {record.state for record in harness.records()} == {State.STOPPED}
    assert "emergency_stop" in harness.kinds()


def test_one_owner_only_and_a_plan_of_it(harness: Harness, gate: Any) -> None:
    started(harness, "alice")
    started(harness, "bob")
    planned = gate.emergency_stop(harness.actor("root"), owner=harness.people["bob"], dry_run=True)
    assert planned.containers == (harness.full("bob"),) and len(running(harness)) == 2
    gate.emergency_stop(harness.actor("root"), owner=harness.people["bob"])
    assert running(harness) == {harness.full("alice")}


def test_no_lock_is_waited_for_and_a_lost_record_does_not_matter(harness: Harness, gate: Any) -> None:
    started(harness, "alice", "locked")
    started(harness, "alice", "broken")
    harness.record_file("alice", "broken").write_text("{")
    with harness.ledger.container_lock(harness.full("alice", "locked"), doing="being started by alice"):
        assert len(gate.emergency_stop(harness.actor("boss")).containers) == 2
        assert harness.record("alice", "locked").state is State.RUNNING
    assert running(harness) == set()
    harness.gate.reconcile(harness.actor("root"))
    assert harness.record("alice", "locked").state is State.STOPPED


def test_one_that_cannot_be_stopped_does_not_keep_the_others(
    harness: Harness, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(harness, "alice")
    started(harness, "bob")
    stop = harness.engine.stop

    def stop_but(reference: str, *, grace: float) -> None:
        seen = harness.engine.inspect(reference)
        if seen is not None and seen.name == harness.full("alice"):
            raise PermissionDenied("no")
        stop(reference, grace=grace)

    monkeypatch.setattr(harness.engine, "stop", stop_but)
    stopped = gate.emergency_stop(harness.actor("boss"))
    assert (stopped.containers, stopped.failed) == ((harness.full("bob"),), (f"{harness.full('alice')}: no",))


def test_only_administrators_may(harness: Harness, gate: Any) -> None:
    started(harness, "alice")
    with pytest.raises(PermissionDenied):
        gate.emergency_stop(harness.actor("alice"), owner=harness.people["alice"])
    seen = harness.engine.inspect(harness.full("alice"))
    assert seen is not None and seen.status is ContainerStatus.RUNNING
