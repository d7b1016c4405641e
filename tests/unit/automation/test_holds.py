"""A held GPU is released when its owner was told that it would be: at the stop, or at an earlier tick."""

from __future__ import annotations

import pytest

from tests.harness import NOON
from tests.tick_harness import TickHarness, actions_of, warnings_of

ALICE_THESIS = "thesis._.70001"


def test_outside_stop_is_announced_then_released(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    harness.engine.kill(ALICE_THESIS)
    ticker.tick(minutes=5)
    (notice,) = ticker.take_notices()
    assert (notice.kind, notice.command) == ("ended", "container-start thesis")
    assert "Its GPU is held until " in notice.text
    report = ticker.tick(minutes=30)
    assert (warnings_of(report), actions_of(report)) == ([], [])
    assert actions_of(ticker.tick(minutes=90)) == [("thesis", "release")]
    assert ticker.take_notice_kinds() == ["released"]


def test_hold_that_ended_unobserved_is_announced_first(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    harness.engine.kill(ALICE_THESIS)
    harness.clock.advance(hours=2, minutes=30)
    harness.another_gate().listing(harness.actor("alice"), owner=70001)
    assert actions_of(ticker.tick(minutes=1)) == []
    assert ticker.take_notice_kinds() == ["ended"]
    assert harness.leased() != {}
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "release")]


@pytest.mark.parametrize("before", ["24h", "null"])
def test_a_hold_that_the_policy_shortens_is_announced_again(ticker: TickHarness, before: str) -> None:
    harness = ticker.harness
    harness.set_policy(f"defaults: {{gpu_hold_after_stop: {before}}}\n")
    ticker.start_container()
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    stopped = harness.clock()
    assert warnings_of(ticker.tick(hours=1)) == []
    harness.set_policy("defaults: {gpu_hold_after_stop: 30m}\n")
    assert warnings_of(ticker.tick(minutes=5)) == [("thesis", "hold")]
    held_until = harness.record("alice").held_until
    assert held_until is not None and (held_until - stopped).total_seconds() == 1800
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "release")]


def test_lengthened_hold_needs_no_notice(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    harness.set_policy("defaults: {gpu_hold_after_stop: 10h}\n")
    report = ticker.tick(hours=5)
    assert (warnings_of(report), actions_of(report)) == ([], [])
    assert actions_of(ticker.tick(hours=5)) == [("thesis", "release")]


def test_without_a_delivered_announcement_nothing_is_released(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.harness.engine.kill(ALICE_THESIS)
    box = ticker.harness.state / "notices"
    box.write_text("no folder")
    for _ in range(2):
        report = ticker.run_tick(hours=2)
        assert [(item.action, item.why) for item in report.errors] == [("notice", "the notice could not be delivered")]
    assert ticker.state() == "held"
    box.unlink()
    assert actions_of(ticker.tick(minutes=5)) == []
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "release")]


def test_a_stop_by_its_owner_needs_no_further_word(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    assert harness.clock() > NOON
    assert actions_of(ticker.tick(hours=2)) == [("thesis", "release")]
