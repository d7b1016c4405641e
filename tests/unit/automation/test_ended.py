"""Why a container ended: in its record, in JSON, and in a notice if it ended outside ds01."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ds01.system.data import to_json
from tests.harness import Harness
from tests.tick_harness import TickHarness

ALICE_THESIS = "thesis._.70001"


@pytest.fixture
def runs(harness: Harness) -> TickHarness:
    ticker = TickHarness(harness)
    ticker.start_container("alice")
    harness.clock.advance(minutes=10)
    return ticker


def view(harness: Harness) -> Any:
    (found,) = harness.gate.containers(harness.actor("alice"))
    return to_json(found)


BEHIND: dict[str, tuple[Callable[[Harness], object], dict[str, object]]] = {
    "exited by itself, code 1": (
        lambda harness: harness.engine.kill(ALICE_THESIS, code=1), {"exit_code": 1, "oom": False},
    ),
    "exited by itself, code 0": (
        lambda harness: harness.engine.kill(ALICE_THESIS, code=0), {"exit_code": 0, "oom": False},
    ),
    "killed outside ds01, SIGKILL": (
        lambda harness: harness.engine.kill(ALICE_THESIS), {"exit_code": 137, "oom": False},
    ),
    "stopped outside ds01, SIGHUP": (
        lambda harness: harness.engine.kill(ALICE_THESIS, code=129), {"exit_code": 129, "oom": False},
    ),
    "crashed, SIGSEGV": (lambda harness: harness.engine.kill(ALICE_THESIS, code=139), {"exit_code": 139, "oom": False}),
    "exited by itself, code 255": (
        lambda harness: harness.engine.kill(ALICE_THESIS, code=255), {"exit_code": 255, "oom": False},
    ),
    "out of memory: limit 32g": (
        lambda harness: harness.engine.kill(ALICE_THESIS, out_of_memory=True), {"exit_code": 137, "oom": True},
    ),
    "exited by itself, code 1, after a process ran out of memory: limit 32g": (
        lambda harness: harness.engine.kill(ALICE_THESIS, code=1, out_of_memory=True), {"exit_code": 1, "oom": False},
    ),
    "Docker restarted": (lambda b: b.engine.restart_engine(), {"exit_code": 137, "oom": False}),
    "the server was restarted": (lambda b: b.engine.restart_engine(reboot=True), {"exit_code": 137, "oom": False}),
}  # fmt: skip


@pytest.mark.parametrize("why", BEHIND)
def test_end_outside_ds01_is_recorded_and_notified_once(runs: TickHarness, why: str) -> None:
    harness = runs.harness
    act, facts = BEHIND[why]
    at = to_json(harness.clock())
    act(harness)
    harness.clock.advance(seconds=30)
    assert view(harness)["ended"] == {"at": at, "why": why} | facts
    runs.tick(minutes=1)
    (notice,) = runs.take_notices("alice")
    assert (notice.kind, notice.container, notice.command) == ("ended", ALICE_THESIS, "container-start thesis")
    assert why in notice.text and "Its GPU is held until" in notice.text
    runs.tick(minutes=5)
    assert runs.take_notices("alice") == []
    harness.gate.release(harness.actor("alice"), ALICE_THESIS)
    runs.tick(minutes=5)
    assert runs.take_notices("alice") == []
    assert view(harness)["ended"]["why"] == why
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    assert view(harness)["ended"] is None


def test_each_end_is_notified(runs: TickHarness) -> None:
    for code in (1, 2):
        runs.harness.engine.kill(ALICE_THESIS, code=code)
        runs.tick(minutes=1)
        assert [f"code {code}" in notice.text for notice in runs.take_notices("alice")] == [True]
        runs.harness.gate.start(runs.harness.actor("alice"), ALICE_THESIS)


def test_the_limit_is_the_one_that_the_container_has(harness: Harness) -> None:
    ticker = TickHarness(harness)
    harness.set_policy("defaults: {memory: 5g}\n")
    ticker.start_container("alice")
    harness.set_policy("defaults: {memory: 64g}\n")
    harness.engine.kill(ALICE_THESIS, out_of_memory=True)
    assert view(harness)["ended"]["why"] == "out of memory: limit 5g"


def test_stop_by_another_user_names_them_once(runs: TickHarness) -> None:
    harness = runs.harness
    harness.gate.stop(harness.actor("boss"), ALICE_THESIS)
    assert view(harness)["ended"] == {
        "at": to_json(harness.clock()),
        "why": "stopped by boss",
        "exit_code": None,
        "oom": False,
    }
    runs.tick(minutes=1)
    assert runs.take_notice_kinds("alice") == ["stopped"]


def test_an_emergency_stop_says_so(runs: TickHarness) -> None:
    runs.harness.gate.emergency_stop(runs.harness.actor("boss"))
    assert view(runs.harness)["ended"]["why"] == "emergency stop by boss"


@pytest.mark.parametrize(("limits", "why"), [("idle_timeout: 1h", "idle stop"), ("max_runtime: 1h", "runtime limit")])
def test_what_the_tick_stopped_says_by_which_rule(harness: Harness, limits: str, why: str) -> None:
    harness.set_policy(f"defaults: {{{limits}}}\n")
    ticker = TickHarness(harness)
    ticker.start_container("alice")
    ticker.tick_until(lambda: ticker.state() == "held", every=ticker.harness.policy.policies.stop_grace * 5)
    assert view(harness)["ended"]["why"] == why
    assert "ended" not in ticker.take_notice_kinds("alice")


def removed_view(harness: Harness) -> Any:
    (found,) = harness.gate.containers(harness.actor("alice"), everything=True)
    assert found.state == "removed"
    return to_json(found)


def test_a_removed_container_says_why_it_ended(runs: TickHarness) -> None:
    harness, alice = runs.harness, runs.harness.actor("alice")
    harness.engine.kill(ALICE_THESIS, code=3)
    harness.gate.containers(alice)
    harness.gate.remove(alice, ALICE_THESIS)
    assert removed_view(harness)["ended"]["why"] == "exited by itself, code 3"


@pytest.mark.parametrize("is_stopped", [False, True])
def test_one_that_was_removed_outside_says_so_unless_it_had_ended_before(runs: TickHarness, is_stopped: bool) -> None:
    harness = runs.harness
    if is_stopped:
        harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    harness.engine.remove_by_force(ALICE_THESIS)
    assert removed_view(harness)["ended"]["why"] == ("stopped by alice" if is_stopped else "removed outside ds01")


def test_one_that_never_ran_says_who_removed_it(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.remove(harness.actor("boss"), ALICE_THESIS)
    assert removed_view(harness)["ended"]["why"] == "removed by boss"
