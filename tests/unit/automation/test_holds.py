"""A held GPU comes free when its owner was told that it would: at the stop, or at an earlier tick."""

from __future__ import annotations

import pytest

from tests.bed import NOON
from tests.ticking import Ticking, acted, warned

ALICE = "thesis._.70001"


def test_a_stop_behind_ds01_is_announced_and_then_released_at_its_time(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    bed.engine.kill(ALICE)
    ticking.tick(minutes=5)
    (notice,) = ticking.post()
    assert (notice.kind, notice.command) == ("ended", "container-start thesis")
    assert "Its GPU is held until " in notice.text
    report = ticking.tick(minutes=30)
    assert (warned(report), acted(report)) == ([], [])
    assert acted(ticking.tick(minutes=90)) == [("thesis", "release")]
    assert ticking.kinds() == ["released"]


def test_a_hold_that_was_over_before_any_tick_saw_it_is_announced_first(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    bed.engine.kill(ALICE)
    bed.clock.advance(hours=2, minutes=30)
    bed.another_gate().listing(bed.actor("alice"), owner=70001)
    assert acted(ticking.tick(minutes=1)) == []
    assert ticking.kinds() == ["ended"]
    assert bed.leased() != {}
    assert acted(ticking.tick(minutes=5)) == [("thesis", "release")]


@pytest.mark.parametrize("before", ["24h", "null"])
def test_a_hold_that_the_policy_shortens_is_announced_again(ticking: Ticking, before: str) -> None:
    bed = ticking.bed
    bed.set_policy(f"defaults: {{gpu_hold_after_stop: {before}}}\n")
    ticking.runs()
    bed.gate.stop(bed.actor("alice"), ALICE)
    stopped = bed.clock()
    assert warned(ticking.tick(hours=1)) == []
    bed.set_policy("defaults: {gpu_hold_after_stop: 30m}\n")
    assert warned(ticking.tick(minutes=5)) == [("thesis", "hold")]
    held_until = bed.record("alice").held_until
    assert held_until is not None and (held_until - stopped).total_seconds() == 1800
    assert acted(ticking.tick(minutes=5)) == [("thesis", "release")]


def test_a_hold_that_the_policy_lengthens_lasts_longer_without_a_word(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    bed.gate.stop(bed.actor("alice"), ALICE)
    bed.set_policy("defaults: {gpu_hold_after_stop: 10h}\n")
    report = ticking.tick(hours=5)
    assert (warned(report), acted(report)) == ([], [])
    assert acted(ticking.tick(hours=5)) == [("thesis", "release")]


def test_without_a_delivered_announcement_nothing_is_released(ticking: Ticking) -> None:
    ticking.runs()
    ticking.bed.engine.kill(ALICE)
    box = ticking.bed.state / "notices"
    box.write_text("no folder")
    for _ in range(2):
        report = ticking.any_tick(hours=2)
        assert [(item.action, item.why) for item in report.errors] == [("notice", "the notice could not be delivered")]
    assert ticking.state() == "held"
    box.unlink()
    assert acted(ticking.tick(minutes=5)) == []
    assert acted(ticking.tick(minutes=5)) == [("thesis", "release")]


def test_a_stop_by_its_owner_needs_no_further_word(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    bed.gate.stop(bed.actor("alice"), ALICE)
    assert bed.clock() > NOON
    assert acted(ticking.tick(hours=2)) == [("thesis", "release")]
