"""A container that was started behind ds01 on somebody else's GPU: both are told, and it is stopped a tick later."""

from __future__ import annotations

import pytest

from ds01.cli.container.list import describe_next_action
from tests import legal
from tests.bed import Bed
from tests.ticking import Ticking, acted, warned

ALICE, BOB = "thesis._.70001", "thesis._.70002"


@pytest.fixture
def met(bed: Bed) -> Ticking:
    """Alice gave her GPU back, bob has it; and then alice's container was started by hand."""
    bed.set_policy("defaults: {max_mig_instances: 2, gpu_hold_after_stop: 2h}\n")
    ticking = Ticking(bed)
    ticking.runs("alice")
    bed.gate.stop(bed.actor("alice"), ALICE, release=True)
    ticking.runs("bob")
    assert bed.record("bob").slots == ("1:0",)
    bed.clock.advance(minutes=1)
    bed.engine.start(ALICE)
    return ticking


def test_both_owners_are_told_and_it_is_stopped_at_the_next_tick(met: Ticking) -> None:
    report = met.tick(minutes=1)
    assert warned(report) == [("thesis", "conflict")]
    assert acted(report) == []
    (mine,), (theirs,) = met.post("alice"), met.post("bob")
    assert (mine.kind, mine.container, mine.command) == ("conflict", ALICE, "container-stop thesis")
    assert "GPU 1:0" in mine.text
    assert (theirs.kind, theirs.container) == ("conflict", BOB)
    assert "thesis of alice" in theirs.text
    assert acted(met.tick(minutes=5)) == [("thesis", "stop")]
    assert (met.state("alice"), met.state("bob")) == ("stopped", "running")
    (ended,) = met.post("alice")
    assert (ended.kind, ended.command) == ("stopped", "container-start thesis --recreate")
    legal.check_settled(met.bed)


def test_a_late_warning_about_something_else_does_not_come_between(met: Ticking) -> None:
    met.bed.set_policy("defaults: {idle_timeout: 1s, max_runtime: 1s}\n")
    assert ("thesis", "conflict") in warned(met.tick(hours=2))
    assert ("thesis", "stop") in acted(met.tick(minutes=5))
    assert met.bed.record("alice").history[-1].why == "it runs on GPU 1:0, which somebody else has"


def test_if_the_other_gave_it_back_meanwhile_it_runs_on(met: Ticking) -> None:
    bed = met.bed
    met.tick(minutes=1)
    bed.gate.remove(bed.actor("bob"), BOB, force=True)
    met.post("alice")
    assert acted(met.tick(minutes=5)) == []
    (corrected,) = met.post("alice")
    assert (corrected.kind, corrected.container) == ("conflict", ALICE)
    assert "not stopped" in corrected.text
    record = bed.record("alice")
    assert (record.state.value, record.slots, record.conflict) == ("running", ("1:0",), None)
    assert acted(met.tick(minutes=5)) == []
    legal.check_settled(bed)


def test_on_a_free_gpu_it_takes_the_lease(met: Ticking) -> None:
    bed = met.bed
    bed.gate.remove(bed.actor("bob"), BOB, force=True)
    met.tick(minutes=1)
    assert bed.record("alice").slots == ("1:0",)
    assert met.kinds("alice") == []


@pytest.mark.parametrize("command", ["list", "gpus", "create"])
def test_any_command_gives_it_its_lease_back_before_somebody_else_has_it(met: Ticking, command: str) -> None:
    bed = met.bed
    met.tick(minutes=1)
    bed.gate.remove(bed.actor("bob"), BOB, force=True)
    met.post("alice")
    if command == "list":
        bed.gate.containers(bed.actor("alice"))
    elif command == "gpus":
        bed.gate.gpus(bed.actor("bob"))
    else:
        bed.gate.create(bed.actor("bob"), bed.request("bob"))
    assert bed.leased()[bed.uuid["1:0"]] == ALICE
    assert warned(met.tick(minutes=5)) == []
    assert met.kinds("alice") == ["conflict"]
    met.tick(minutes=5)
    assert met.kinds("alice") == []


def test_it_is_not_warned_where_the_cause_went_before_the_tick(met: Ticking) -> None:
    bed = met.bed
    bed.gate.reconcile(bed.actor("root"))
    assert bed.record("alice").conflict
    bed.gate.remove(bed.actor("bob"), BOB, force=True)
    assert warned(met.tick(minutes=1)) == []
    assert met.kinds("alice") == []
    assert bed.record("alice").slots == ("1:0",)


def test_of_two_gpus_one_is_not_enough(bed: Bed) -> None:
    ticking = Ticking(bed)
    ticking.runs("alice", gpus=2)
    bed.gate.stop(bed.actor("alice"), ALICE, release=True)
    ticking.runs("bob")
    ticking.runs("carol")
    bed.engine.start(ALICE)
    ticking.tick(minutes=1)
    bed.gate.remove(bed.actor("bob"), BOB, force=True)
    bed.gate.reconcile(bed.actor("root"))
    assert bed.record("alice").conflict and bed.record("alice").lease is None


def test_a_list_says_that_its_stop_is_what_comes_next(met: Ticking) -> None:
    bed = met.bed
    met.tick(minutes=1)
    (view,) = bed.another_gate().listing(bed.actor("alice"), owner=70001).containers
    assert view.deadline is not None
    assert (view.deadline.because, describe_next_action(view, bed.clock())) == ("conflict", "stop is due")
