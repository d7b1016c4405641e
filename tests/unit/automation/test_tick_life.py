"""From idle to removed: warned, stopped, held, released, warned, removed, each at its time and told to the owner."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ds01.errors import InvalidState, PermissionDenied
from ds01.records.deadlines import idle_ends, runtime_ends
from tests import legal
from tests.bed import NOON
from tests.ticking import Ticking, acted, warned

ALICE = "thesis._.70001"


def test_an_idle_container_goes_its_whole_way(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    assert warned(ticking.tick(hours=7)) == []
    assert warned(ticking.tick(hours=1)) == [("thesis", "idle")]
    (notice,) = ticking.post()
    assert notice.command == "container-extend thesis 6h"
    assert notice.text.startswith("thesis does nothing and will be stopped ")
    assert acted(ticking.tick(hours=1)) == []
    assert acted(ticking.tick(hours=1)) == [("thesis", "stop")]
    record = bed.record("alice")
    assert record.state.value == "held"
    assert record.history[-1].actor == "tick"
    assert record.history[-1].why == "idle"
    assert ticking.kinds() == ["stopped"]
    assert acted(ticking.tick(hours=1)) == []
    assert acted(ticking.tick(hours=1)) == [("thesis", "release")]
    assert ticking.kinds() == ["released"]
    assert bed.leased() == {}
    assert warned(ticking.tick(hours=14)) == [("thesis", "removal")]
    assert ticking.kinds() == ["removal"]
    assert acted(ticking.tick(hours=3)) == []
    assert acted(ticking.tick(hours=1)) == [("thesis", "remove")]
    assert ticking.kinds() == ["removed"]
    assert bed.records() == []
    assert bed.engine.containers() == []
    legal.check_settled(bed)


def test_both_terminals_and_events_say_it(ticking: Ticking) -> None:
    ticking.runs()
    ticking.tick(hours=8)
    ticking.tick(hours=2)
    assert [uid for uid, _ in ticking.shown] == [70001, 70001]
    kinds = ticking.bed.kinds()
    assert kinds.count("warning") == 1
    assert kinds.count("notice") == 2
    stops = [facts for kind, facts in ticking.bed.events if kind == "transition" and facts["trigger"] == "stop"]
    assert [(facts["actor"], facts["why"]) for facts in stops] == [("tick", "idle")]


def test_a_late_tick_warns_first_and_acts_at_the_next(ticking: Ticking) -> None:
    ticking.runs()
    report = ticking.tick(days=30)
    assert (warned(report), acted(report)) == ([("thesis", "idle")], [])
    assert ticking.post()[0].text == "thesis does nothing and will be stopped in a few minutes."
    assert acted(ticking.make().run()) == []  # at the same moment: a tick that is given twice is one tick
    assert acted(ticking.tick(minutes=5)) == [("thesis", "stop")]


def test_activity_moves_the_deadline_and_the_old_warning_counts_no_more(ticking: Ticking) -> None:
    ticking.runs()
    ticking.tick(hours=8)
    ticking.works(3600)
    assert acted(ticking.tick(minutes=30)) == []
    assert acted(ticking.tick(hours=2)) == []
    assert warned(ticking.tick(hours=6)) == [("thesis", "idle")]
    assert acted(ticking.tick(hours=2)) == [("thesis", "stop")]


def test_an_extension_moves_the_deadline_and_the_old_warning_counts_no_more(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    ticking.tick(hours=8)
    acted_on = bed.gate.extend(bed.actor("alice"), ALICE, timedelta(hours=4), reason="last epoch")
    assert acted_on.container.deadline is not None
    assert acted_on.container.deadline.at == NOON + timedelta(hours=14)
    assert acted(ticking.tick(hours=2)) == []
    assert warned(ticking.tick(hours=3)) == [("thesis", "idle")]
    assert ticking.post()[-1].command == "container-extend thesis 2h"  # what is left of 6 hours
    assert acted(ticking.tick(hours=1)) == [("thesis", "stop")]
    facts = next(facts for kind, facts in bed.events if kind == "extension")
    assert (facts["why"], facts["actor"], facts["seconds"]) == ("last epoch", "alice", 4 * 3600)


def test_all_extensions_since_the_start_together_are_at_most_the_policys(ticking: Ticking) -> None:
    bed = ticking.bed
    gate, alice = bed.gate, bed.actor("alice")
    ticking.runs()
    gate.extend(alice, ALICE, timedelta(hours=4))
    with pytest.raises(PermissionDenied, match="6h of extensions") as refused:
        gate.extend(alice, ALICE, timedelta(hours=3))
    assert refused.value.hint == "2h is left"
    gate.extend(alice, ALICE, timedelta(hours=2))
    gate.stop(alice, ALICE)
    with pytest.raises(InvalidState):
        gate.extend(alice, ALICE, timedelta(hours=1))
    gate.start(alice, ALICE)
    gate.extend(alice, ALICE, timedelta(hours=6))
    ticking.tick(minutes=1)
    ticking.tick(hours=15)
    assert ticking.post()[-1].command is None  # nothing is left to propose


def test_an_extension_moves_both_deadlines_and_not_only_the_earlier_one(ticking: Ticking) -> None:
    bed = ticking.bed
    bed.set_policy("defaults: {idle_timeout: 4h, max_runtime: 10h, max_extension: 12h}\n")
    ticking.runs()
    bed.gate.extend(bed.actor("alice"), ALICE, timedelta(hours=3))
    bed.gate.extend(bed.actor("alice"), ALICE, timedelta(hours=2))
    record, limits = bed.record("alice"), bed.context.rules.limits_of(bed.record("alice")).limits
    began = record.started_at
    assert began is not None
    assert idle_ends(record, limits) == began + timedelta(hours=4 + 3 + 2)
    assert runtime_ends(record, limits) == began + timedelta(hours=10 + 3 + 2)


def test_only_the_owner_and_administrators_extend(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    with pytest.raises(Exception, match="no container"):
        bed.gate.extend(bed.actor("bob"), ALICE, timedelta(hours=1))
    bed.gate.extend(bed.actor("boss"), ALICE, timedelta(hours=1))


def test_the_longest_runtime_ends_what_works_too(ticking: Ticking) -> None:
    ticking.bed.set_policy("defaults: {max_runtime: 10h, idle_timeout: 1h}\n")
    ticking.runs()
    used = 0
    for _ in range(8):
        used += 3600
        ticking.works(used)
        assert acted(ticking.tick(hours=1)) == []
    used += 3600
    ticking.works(used)
    assert warned(ticking.tick(hours=1)) == [("thesis", "runtime")]
    ticking.works(used + 3600)
    assert acted(ticking.tick(hours=1)) == [("thesis", "stop")]
    assert ticking.bed.record("alice").history[-1].why == "max_runtime"


def test_the_runtime_counts_from_the_last_start(ticking: Ticking) -> None:
    bed = ticking.bed
    bed.set_policy("defaults: {max_runtime: 10h, idle_timeout: null}\n")
    ticking.runs()
    ticking.tick(hours=8)
    bed.gate.stop(bed.actor("alice"), ALICE)
    bed.gate.start(bed.actor("alice"), ALICE)
    assert warned(ticking.tick(hours=8)) == []
    assert warned(ticking.tick(hours=1)) == [("thesis", "runtime")]


def test_what_never_ran_gives_its_gpu_back_after_created_timeout(ticking: Ticking) -> None:
    bed = ticking.bed
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    bed.gate.create(bed.actor("bob"), bed.request("bob", gpus=0))
    assert acted(ticking.tick(minutes=29)) == []
    assert acted(ticking.tick(minutes=1)) == [("thesis", "release")]
    assert ticking.kinds() == ["released"]
    assert bed.leased() == {}
    assert ticking.state("alice") == "stopped"
    assert ticking.state("bob") == "created"
    ticking.tick(days=300)
    assert ticking.state("bob") == "created"  # CPU only stays


def test_a_hold_of_zero_is_no_hold_and_null_is_for_ever(ticking: Ticking) -> None:
    bed = ticking.bed
    bed.set_policy(
        "defaults: {idle_timeout: 1h, gpu_hold_after_stop: 0s}\n"
        "groups: {g: {members: [bob], gpu_hold_after_stop: null}}\n"
    )
    ticking.runs()
    ticking.runs("bob")
    ticking.tick(hours=1)
    ticking.tick(hours=1)
    assert ticking.state("alice") == "stopped"
    assert ticking.state("bob") == "held"
    ticking.tick(days=900)
    assert ticking.state("bob") == "held"


def test_a_container_that_is_to_be_kept_is_not_removed(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    bed.gate.stop(bed.actor("alice"), ALICE, keep=True)
    for _ in range(3):
        ticking.tick(days=30)
    assert ticking.state() == "stopped"


def test_a_release_between_warning_and_removal_does_not_void_the_warning(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    bed.gate.stop(bed.actor("alice"), ALICE)
    ticking.tick(hours=1)
    bed.set_policy("defaults: {idle_timeout: 10h, gpu_hold_after_stop: 18h, container_hold_after_stop: 20h}\n")
    assert warned(ticking.tick(hours=16)) == [("thesis", "removal")]
    assert acted(ticking.tick(hours=1)) == [("thesis", "release")]
    assert warned(ticking.tick(hours=1)) == []
    assert acted(ticking.tick(hours=1)) == [("thesis", "remove")]


def test_a_start_between_warning_and_removal_means_that_it_stays(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    bed.gate.stop(bed.actor("alice"), ALICE)
    ticking.tick(hours=17)
    bed.gate.start(bed.actor("alice"), ALICE)
    bed.gate.stop(bed.actor("alice"), ALICE)
    assert acted(ticking.tick(hours=4)) == [("thesis", "release")]
    assert ticking.state() == "stopped"


@pytest.mark.parametrize(
    ("limit", "settings"),
    [
        ("idle_timeout", "idle_timeout: 1h"),
        ("max_runtime", "max_runtime: 1h, idle_timeout: null"),
    ],
)
def test_an_exempted_user_is_left_alone_until_the_exemption_ends(ticking: Ticking, limit: str, settings: str) -> None:
    bed = ticking.bed
    bed.set_policy(
        f"defaults: {{{settings}}}\n"
        f"exemptions: [{{user: alice, from: [{limit}], until: 2026-12-01T12:00Z, reason: long}}]\n"
    )
    ticking.runs("alice")
    ticking.runs("bob")
    (shown,) = bed.gate.containers(bed.actor("alice"))
    assert shown.deadline is None
    ticking.tick(hours=5)
    ticking.tick(hours=1)
    assert (ticking.state("alice"), ticking.state("bob")) == ("running", "held")
    ticking.tick(hours=20)
    ticking.tick(hours=1)
    assert ticking.state("alice") == "held"


def test_a_changed_policy_acts_at_the_next_tick_and_warns_first(ticking: Ticking) -> None:
    ticking.runs()
    ticking.tick(hours=2)
    ticking.bed.set_policy("defaults: {idle_timeout: 1h}\n")
    report = ticking.tick(minutes=5)
    assert (warned(report), acted(report)) == ([("thesis", "idle")], [])
    assert acted(ticking.tick(minutes=5)) == [("thesis", "stop")]


def test_old_removed_records_go_after_thirty_days(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    bed.gate.remove(bed.actor("alice"), ALICE, force=True)
    ticking.tick(days=29)
    assert len(bed.ledger.removed()) == 1
    ticking.tick(days=2)
    assert bed.ledger.removed() == []


def test_a_dry_run_says_what_would_be_and_changes_nothing(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    ticking.runs("bob")
    ticking.tick(hours=8)
    ticking.tick(hours=2, minutes=-1)
    ticking.post()
    bed.gate.stop(bed.actor("bob"), bed.full("bob"))
    bed.clock.advance(hours=2)
    before = {path: path.read_bytes() for path in bed.state.rglob("*.json")}
    report = ticking.make(dry_run=True).run()
    assert acted(report) == [("thesis", "stop"), ("thesis", "release")]
    assert {path: path.read_bytes() for path in bed.state.rglob("*.json")} == before
    assert ticking.post() == []


def test_a_dry_run_says_what_happened_behind_ds01_and_changes_nothing(ticking: Ticking) -> None:
    bed = ticking.bed
    for login in ("alice", "bob", "carol"):
        ticking.runs(login, gpus=0)
    bed.engine.remove_by_force(bed.full("alice"))
    bed.engine.kill(bed.full("bob"))
    before = bed.records()
    foreseen = ticking.make(dry_run=True).run()
    assert bed.records() == before
    done = ticking.tick(seconds=1)
    assert (
        {(item.container, item.why) for item in foreseen.acted if item.action == "reconcile"}
        == {(item.container, item.why) for item in done.acted if item.action == "reconcile"}
        == {(bed.full("alice"), "vanish"), (bed.full("bob"), "stop")}
    )
    assert foreseen.looked_at == 1
