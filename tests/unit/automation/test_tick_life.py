"""From idle to removed: warned, stopped, held, released, warned, removed, each on time and with a notice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ds01.errors import InvalidState, NotFound, PermissionDenied
from ds01.records.deadlines import idle_ends, runtime_ends
from tests import invariants
from tests.harness import NOON
from tests.tick_harness import TickHarness, actions_of, warnings_of

ALICE_THESIS = "thesis._.70001"


def test_an_idle_container_goes_its_whole_way(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    assert warnings_of(ticker.tick(hours=7)) == []
    assert warnings_of(ticker.tick(hours=1)) == [("thesis", "idle")]
    (notice,) = ticker.take_notices()
    assert notice.command == "container-extend thesis 6h"
    assert notice.text.startswith("thesis is idle and will be stopped ")
    assert actions_of(ticker.tick(hours=1)) == []
    assert actions_of(ticker.tick(hours=1)) == [("thesis", "stop")]
    record = harness.record("alice")
    assert record.state.value == "held"
    assert record.history[-1].actor == "tick"
    assert record.history[-1].why == "idle"
    assert ticker.take_notice_kinds() == ["stopped"]
    assert actions_of(ticker.tick(hours=1)) == []
    assert actions_of(ticker.tick(hours=1)) == [("thesis", "release")]
    assert ticker.take_notice_kinds() == ["released"]
    assert harness.leased() == {}
    assert warnings_of(ticker.tick(hours=14)) == [("thesis", "removal")]
    assert ticker.take_notice_kinds() == ["removal"]
    assert actions_of(ticker.tick(hours=3)) == []
    assert actions_of(ticker.tick(hours=1)) == [("thesis", "remove")]
    assert ticker.take_notice_kinds() == ["removed"]
    assert harness.records() == []
    assert harness.engine.containers() == []
    invariants.check_settled(harness)


def test_both_terminals_and_events_say_it(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.tick(hours=8)
    ticker.tick(hours=2)
    assert [uid for uid, _ in ticker.shown] == [70001, 70001]
    kinds = ticker.harness.kinds()
    assert kinds.count("warning") == 1
    assert kinds.count("notice") == 2
    stops = [facts for kind, facts in ticker.harness.events if kind == "transition" and facts["trigger"] == "stop"]
    assert [(facts["actor"], facts["why"]) for facts in stops] == [("tick", "idle")]


def test_a_late_tick_warns_first_and_acts_at_the_next(ticker: TickHarness) -> None:
    ticker.start_container()
    report = ticker.tick(days=30)
    assert (warnings_of(report), actions_of(report)) == ([("thesis", "idle")], [])
    assert ticker.take_notices()[0].text == "thesis is idle and will be stopped in a few minutes."
    assert actions_of(ticker.make_tick().run()) == []  # at the same moment: a tick that is given twice is one tick
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "stop")]


def test_activity_voids_the_earlier_warning(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.tick(hours=8)
    ticker.set_cpu_time(3600)
    assert actions_of(ticker.tick(minutes=30)) == []
    assert actions_of(ticker.tick(hours=2)) == []
    assert warnings_of(ticker.tick(hours=6)) == [("thesis", "idle")]
    assert actions_of(ticker.tick(hours=2)) == [("thesis", "stop")]


def test_extension_voids_the_earlier_warning(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    ticker.tick(hours=8)
    acted_on = harness.gate.extend(harness.actor("alice"), ALICE_THESIS, timedelta(hours=4), reason="last epoch")
    assert acted_on.container.deadline is not None
    assert acted_on.container.deadline.at == NOON + timedelta(hours=14)
    assert actions_of(ticker.tick(hours=2)) == []
    assert warnings_of(ticker.tick(hours=3)) == [("thesis", "idle")]
    assert ticker.take_notices()[-1].command == "container-extend thesis 2h"  # what is left of 6 hours
    assert actions_of(ticker.tick(hours=1)) == [("thesis", "stop")]
    facts = next(facts for kind, facts in harness.events if kind == "extension")
    assert (facts["why"], facts["actor"], facts["seconds"]) == ("last epoch", "alice", 4 * 3600)


def test_extensions_add_up_to_the_policys_maximum(ticker: TickHarness) -> None:
    harness = ticker.harness
    gate, alice = harness.gate, harness.actor("alice")
    ticker.start_container()
    gate.extend(alice, ALICE_THESIS, timedelta(hours=4))
    with pytest.raises(PermissionDenied, match="6h of extensions") as refused:
        gate.extend(alice, ALICE_THESIS, timedelta(hours=3))
    assert refused.value.hint == "`container-extend thesis 2h` uses what is left"
    gate.extend(alice, ALICE_THESIS, timedelta(hours=2))
    gate.stop(alice, ALICE_THESIS)
    with pytest.raises(InvalidState):
        gate.extend(alice, ALICE_THESIS, timedelta(hours=1))
    gate.start(alice, ALICE_THESIS)
    gate.extend(alice, ALICE_THESIS, timedelta(hours=6))
    ticker.tick(minutes=1)
    ticker.tick(hours=15)
    assert ticker.take_notices()[-1].command is None  # nothing is left to propose


def test_extension_moves_idle_and_runtime_deadlines(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.set_policy("defaults: {idle_timeout: 4h, max_runtime: 10h, max_extension: 12h}\n")
    ticker.start_container()
    harness.gate.extend(harness.actor("alice"), ALICE_THESIS, timedelta(hours=3))
    harness.gate.extend(harness.actor("alice"), ALICE_THESIS, timedelta(hours=2))
    record, limits = harness.record("alice"), harness.context.rules.limits_of(harness.record("alice")).limits
    began = record.started_at
    assert began is not None
    assert idle_ends(record, limits) == began + timedelta(hours=4 + 3 + 2)
    assert runtime_ends(record, limits) == began + timedelta(hours=10 + 3 + 2)


def test_only_the_owner_and_administrators_extend(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    with pytest.raises(NotFound):
        harness.gate.extend(harness.actor("bob"), ALICE_THESIS, timedelta(hours=1))
    harness.gate.extend(harness.actor("boss"), ALICE_THESIS, timedelta(hours=1))


def test_the_longest_runtime_ends_what_works_too(ticker: TickHarness) -> None:
    ticker.harness.set_policy("defaults: {max_runtime: 10h, idle_timeout: 1h}\n")
    ticker.start_container()
    used = 0
    for _ in range(8):
        used += 3600
        ticker.set_cpu_time(used)
        assert actions_of(ticker.tick(hours=1)) == []
    used += 3600
    ticker.set_cpu_time(used)
    assert warnings_of(ticker.tick(hours=1)) == [("thesis", "runtime")]
    ticker.set_cpu_time(used + 3600)
    assert actions_of(ticker.tick(hours=1)) == [("thesis", "stop")]
    assert ticker.harness.record("alice").history[-1].why == "max_runtime"


def test_the_runtime_counts_from_the_last_start(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.set_policy("defaults: {max_runtime: 10h, idle_timeout: null}\n")
    ticker.start_container()
    ticker.tick(hours=8)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    assert warnings_of(ticker.tick(hours=8)) == []
    assert warnings_of(ticker.tick(hours=1)) == [("thesis", "runtime")]


def test_what_never_ran_gives_its_gpu_back_after_created_timeout(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.create(harness.actor("bob"), harness.request("bob", gpus=0))
    assert actions_of(ticker.tick(minutes=29)) == []
    assert actions_of(ticker.tick(minutes=1)) == [("thesis", "release")]
    assert ticker.take_notice_kinds() == ["released"]
    assert harness.leased() == {}
    assert ticker.state("alice") == "stopped"
    assert ticker.state("bob") == "created"
    ticker.tick(days=300)
    assert ticker.state("bob") == "created"  # CPU only stays


def test_a_hold_of_zero_is_no_hold_and_null_is_for_ever(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.set_policy(
        "defaults: {idle_timeout: 1h, gpu_hold_after_stop: 0s}\n"
        "groups: {g: {members: [bob], gpu_hold_after_stop: null}}\n"
    )
    ticker.start_container()
    ticker.start_container("bob")
    ticker.tick(hours=1)
    ticker.tick(hours=1)
    assert ticker.state("alice") == "stopped"
    assert ticker.state("bob") == "held"
    ticker.tick(days=900)
    assert ticker.state("bob") == "held"


def test_a_container_that_is_to_be_kept_is_not_removed(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS, keep=True)
    for _ in range(3):
        ticker.tick(days=30)
    assert ticker.state() == "stopped"


def test_release_does_not_void_the_removal_warning(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    ticker.tick(hours=1)
    harness.set_policy("defaults: {idle_timeout: 10h, gpu_hold_after_stop: 18h, container_hold_after_stop: 20h}\n")
    assert warnings_of(ticker.tick(hours=16)) == [("thesis", "removal")]
    assert actions_of(ticker.tick(hours=1)) == [("thesis", "release")]
    assert warnings_of(ticker.tick(hours=1)) == []
    assert actions_of(ticker.tick(hours=1)) == [("thesis", "remove")]


def test_a_start_between_warning_and_removal_means_that_it_stays(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    ticker.tick(hours=17)
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    assert actions_of(ticker.tick(hours=4)) == [("thesis", "release")]
    assert ticker.state() == "stopped"


@pytest.mark.parametrize(
    ("limit", "settings"),
    [
        ("idle_timeout", "idle_timeout: 1h"),
        ("max_runtime", "max_runtime: 1h, idle_timeout: null"),
    ],
)
def test_an_exempted_user_is_left_alone_until_the_exemption_ends(
    ticker: TickHarness, limit: str, settings: str
) -> None:
    harness = ticker.harness
    harness.set_policy(
        f"defaults: {{{settings}}}\n"
        f"exemptions: [{{user: alice, from: [{limit}], until: 2026-12-01T12:00Z, reason: long}}]\n"
    )
    ticker.start_container("alice")
    ticker.start_container("bob")
    (shown,) = harness.gate.containers(harness.actor("alice"))
    assert shown.deadline is None
    ticker.tick(hours=5)
    ticker.tick(hours=1)
    assert (ticker.state("alice"), ticker.state("bob")) == ("running", "held")
    ticker.tick(hours=20)
    ticker.tick(hours=1)
    assert ticker.state("alice") == "held"


def test_a_changed_policy_acts_at_the_next_tick_and_warns_first(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.tick(hours=2)
    ticker.harness.set_policy("defaults: {idle_timeout: 1h}\n")
    report = ticker.tick(minutes=5)
    assert (warnings_of(report), actions_of(report)) == ([("thesis", "idle")], [])
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "stop")]


def test_old_removed_records_go_after_thirty_days(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    harness.gate.remove(harness.actor("alice"), ALICE_THESIS, force=True)
    ticker.tick(days=29)
    assert len(harness.ledger.removed()) == 1
    ticker.tick(days=2)
    assert harness.ledger.removed() == []


def test_a_dry_run_says_what_would_be_and_changes_nothing(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    ticker.start_container("bob")
    ticker.tick(hours=8)
    ticker.tick(hours=2, minutes=-1)
    ticker.take_notices()
    harness.gate.stop(harness.actor("bob"), harness.full("bob"))
    harness.clock.advance(hours=2)
    before = {path: path.read_bytes() for path in harness.state.rglob("*.json")}
    report = ticker.make_tick(dry_run=True).run()
    assert actions_of(report) == [("thesis", "stop"), ("thesis", "release")]
    assert {path: path.read_bytes() for path in harness.state.rglob("*.json")} == before
    assert ticker.take_notices() == []


def test_dry_run_reports_outside_changes_only(ticker: TickHarness) -> None:
    harness = ticker.harness
    for login in ("alice", "bob", "carol"):
        ticker.start_container(login, gpus=0)
    harness.engine.remove_by_force(harness.full("alice"))
    harness.engine.kill(harness.full("bob"))
    before = harness.records()
    foreseen = ticker.make_tick(dry_run=True).run()
    assert harness.records() == before
    done = ticker.tick(seconds=1)
    assert (
        {(item.container, item.why) for item in foreseen.acted if item.action == "reconcile"}
        == {(item.container, item.why) for item in done.acted if item.action == "reconcile"}
        == {(harness.full("alice"), "vanish"), (harness.full("bob"), "stop")}
    )
    assert foreseen.looked_at == 1
