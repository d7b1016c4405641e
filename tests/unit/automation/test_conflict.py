"""A container started outside ds01 on another's GPU: both owners are notified, and a tick later it is stopped."""

from __future__ import annotations

import pytest

from ds01.cli.container.list import describe_next_action
from tests import invariants
from tests.harness import Harness
from tests.tick_harness import TickHarness, actions_of, warnings_of

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


@pytest.fixture
def met(harness: Harness) -> TickHarness:
    """Alice gave her GPU back, bob has it; and then alice's container was started by hand."""
    harness.set_policy("defaults: {max_mig_instances: 2, gpu_hold_after_stop: 2h}\n")
    ticker = TickHarness(harness)
    ticker.start_container("alice")
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS, release=True)
    ticker.start_container("bob")
    assert harness.record("bob").slots == ("1:0",)
    harness.clock.advance(minutes=1)
    harness.engine.start(ALICE_THESIS)
    return ticker


def test_conflict_notifies_both_owners_then_stops(met: TickHarness) -> None:
    report = met.tick(minutes=1)
    assert warnings_of(report) == [("thesis", "conflict")]
    assert actions_of(report) == []
    (mine,), (theirs,) = met.take_notices("alice"), met.take_notices("bob")
    assert (mine.kind, mine.container, mine.command) == ("conflict", ALICE_THESIS, "container-stop thesis")
    assert "GPU 1:0" in mine.text
    assert (theirs.kind, theirs.container) == ("conflict", BOB_THESIS)
    assert "thesis of alice" in theirs.text
    assert actions_of(met.tick(minutes=5)) == [("thesis", "stop")]
    assert (met.state("alice"), met.state("bob")) == ("stopped", "running")
    (ended,) = met.take_notices("alice")
    assert (ended.kind, ended.command) == ("stopped", "container-start thesis --recreate")
    invariants.check_settled(met.harness)


def test_other_warning_does_not_delay_the_conflict_stop(met: TickHarness) -> None:
    met.harness.set_policy("defaults: {idle_timeout: 1s, max_runtime: 1s}\n")
    assert ("thesis", "conflict") in warnings_of(met.tick(hours=2))
    assert ("thesis", "stop") in actions_of(met.tick(minutes=5))
    assert met.harness.record("alice").history[-1].why == "it runs on GPU 1:0, which is leased to another container"


def test_if_the_other_gave_it_back_meanwhile_it_runs_on(met: TickHarness) -> None:
    harness = met.harness
    met.tick(minutes=1)
    harness.gate.remove(harness.actor("bob"), BOB_THESIS, force=True)
    met.take_notices("alice")
    assert actions_of(met.tick(minutes=5)) == []
    (corrected,) = met.take_notices("alice")
    assert (corrected.kind, corrected.container) == ("conflict", ALICE_THESIS)
    assert "not be stopped" in corrected.text
    record = harness.record("alice")
    assert (record.state.value, record.slots, record.conflict) == ("running", ("1:0",), None)
    assert actions_of(met.tick(minutes=5)) == []
    invariants.check_settled(harness)


def test_on_a_free_gpu_it_takes_the_lease(met: TickHarness) -> None:
    harness = met.harness
    harness.gate.remove(harness.actor("bob"), BOB_THESIS, force=True)
    met.tick(minutes=1)
    assert harness.record("alice").slots == ("1:0",)
    assert met.take_notice_kinds("alice") == []


@pytest.mark.parametrize("command", ["list", "gpus", "create"])
def test_any_command_restores_the_lease_after_a_conflict(met: TickHarness, command: str) -> None:
    harness = met.harness
    met.tick(minutes=1)
    harness.gate.remove(harness.actor("bob"), BOB_THESIS, force=True)
    met.take_notices("alice")
    if command == "list":
        harness.gate.containers(harness.actor("alice"))
    elif command == "gpus":
        harness.gate.gpus(harness.actor("bob"))
    else:
        harness.gate.create(harness.actor("bob"), harness.request("bob"))
    assert harness.leased()[harness.uuid["1:0"]] == ALICE_THESIS
    assert warnings_of(met.tick(minutes=5)) == []
    assert met.take_notice_kinds("alice") == ["conflict"]
    met.tick(minutes=5)
    assert met.take_notice_kinds("alice") == []


def test_it_is_not_warned_where_the_cause_went_before_the_tick(met: TickHarness) -> None:
    harness = met.harness
    harness.gate.reconcile(harness.actor("root"))
    assert harness.record("alice").conflict
    harness.gate.remove(harness.actor("bob"), BOB_THESIS, force=True)
    assert warnings_of(met.tick(minutes=1)) == []
    assert met.take_notice_kinds("alice") == []
    assert harness.record("alice").slots == ("1:0",)


def test_of_two_gpus_one_is_not_enough(harness: Harness) -> None:
    ticker = TickHarness(harness)
    ticker.start_container("alice", gpus=2)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS, release=True)
    ticker.start_container("bob")
    ticker.start_container("carol")
    harness.engine.start(ALICE_THESIS)
    ticker.tick(minutes=1)
    harness.gate.remove(harness.actor("bob"), BOB_THESIS, force=True)
    harness.gate.reconcile(harness.actor("root"))
    assert harness.record("alice").conflict and harness.record("alice").lease is None


def test_a_list_says_that_its_stop_is_what_comes_next(met: TickHarness) -> None:
    harness = met.harness
    met.tick(minutes=1)
    (view,) = harness.another_gate().listing(harness.actor("alice"), owner=70001).containers
    assert view.deadline is not None
    assert (view.deadline.because, describe_next_action(view, harness.clock())) == ("conflict", "stop is due")
