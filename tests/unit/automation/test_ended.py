"""Why a container ended: in its record, in what scripts read, and in a notice of whatever nobody asked ds01 for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ds01.system.data import to_json
from tests.bed import Bed
from tests.ticking import Ticking

ALICE = "thesis._.70001"


@pytest.fixture
def runs(bed: Bed) -> Ticking:
    ticking = Ticking(bed)
    ticking.runs("alice")
    bed.clock.advance(minutes=10)
    return ticking


def view(bed: Bed) -> Any:
    (found,) = bed.gate.containers(bed.actor("alice"))
    return to_json(found)


BEHIND: dict[str, tuple[Callable[[Bed], object], dict[str, object]]] = {
    "exit code 1": (lambda bed: bed.engine.kill(ALICE, code=1), {"exit_code": 1, "oom": False}),
    "exit code 0": (lambda bed: bed.engine.kill(ALICE, code=0), {"exit_code": 0, "oom": False}),
    "exit code 137 (SIGKILL)": (lambda bed: bed.engine.kill(ALICE), {"exit_code": 137, "oom": False}),
    "OOM at 32g (limit)": (
        lambda bed: bed.engine.kill(ALICE, out_of_memory=True), {"exit_code": 137, "oom": True},
    ),
    "exit code 1, after a process in it ran out of memory: 32g (limit)": (
        lambda bed: bed.engine.kill(ALICE, code=1, out_of_memory=True), {"exit_code": 1, "oom": False},
    ),
    "Docker restarted": (lambda bed: bed.engine.restart_engine(), {"exit_code": 137, "oom": False}),
    "the server was restarted": (lambda bed: bed.engine.restart_engine(reboot=True), {"exit_code": 137, "oom": False}),
}  # fmt: skip


@pytest.mark.parametrize("why", BEHIND)
def test_what_nobody_asked_for_is_recorded_and_told_once(runs: Ticking, why: str) -> None:
    bed = runs.bed
    act, facts = BEHIND[why]
    at = to_json(bed.clock())
    act(bed)
    bed.clock.advance(seconds=30)
    assert view(bed)["ended"] == {"at": at, "why": why} | facts
    runs.tick(minutes=1)
    (notice,) = runs.post("alice")
    assert (notice.kind, notice.container, notice.command) == ("ended", ALICE, "container-start thesis")
    assert why in notice.text and "Its GPU is held until" in notice.text
    runs.tick(minutes=5)
    assert runs.post("alice") == []
    bed.gate.release(bed.actor("alice"), ALICE)
    runs.tick(minutes=5)
    assert runs.post("alice") == []
    assert view(bed)["ended"]["why"] == why
    bed.gate.start(bed.actor("alice"), ALICE)
    assert view(bed)["ended"] is None


def test_each_end_is_told(runs: Ticking) -> None:
    for code in (1, 2):
        runs.bed.engine.kill(ALICE, code=code)
        runs.tick(minutes=1)
        assert [f"exit code {code}" in notice.text for notice in runs.post("alice")] == [True]
        runs.bed.gate.start(runs.bed.actor("alice"), ALICE)


def test_the_limit_is_the_one_that_the_container_has(bed: Bed) -> None:
    ticking = Ticking(bed)
    bed.set_policy("defaults: {memory: 5g}\n")
    ticking.runs("alice")
    bed.set_policy("defaults: {memory: 64g}\n")
    bed.engine.kill(ALICE, out_of_memory=True)
    assert view(bed)["ended"]["why"] == "OOM at 5g (limit)"


def test_what_somebody_stopped_says_who_and_is_told_once(runs: Ticking) -> None:
    bed = runs.bed
    bed.gate.stop(bed.actor("boss"), ALICE)
    assert view(bed)["ended"] == {"at": to_json(bed.clock()), "why": "stopped by boss", "exit_code": None, "oom": False}
    runs.tick(minutes=1)
    assert runs.kinds("alice") == ["stopped"]


def test_an_emergency_stop_says_so(runs: Ticking) -> None:
    runs.bed.gate.emergency_stop(runs.bed.actor("boss"))
    assert view(runs.bed)["ended"]["why"] == "emergency stop by boss"


@pytest.mark.parametrize(("limits", "why"), [("idle_timeout: 1h", "idle stop"), ("max_runtime: 1h", "runtime")])
def test_what_the_tick_stopped_says_by_which_rule(bed: Bed, limits: str, why: str) -> None:
    bed.set_policy(f"defaults: {{{limits}}}\n")
    ticking = Ticking(bed)
    ticking.runs("alice")
    ticking.until(lambda: ticking.state() == "held", every=ticking.bed.policy.policies.stop_grace * 5)
    assert view(bed)["ended"]["why"] == why
    assert "ended" not in ticking.kinds("alice")
