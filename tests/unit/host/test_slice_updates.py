"""The slices of new users: set by the next tick; failures are reported and affect no other slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ds01.automation.report import TickReport
from ds01.errors import Ds01Error
from ds01.host import slice_limits
from ds01.host.slice_updates import update_slices
from ds01.host.systemd import Systemd
from tests.harness import Harness
from tests.tick_harness import TickHarness

POLICY = """\
groups: {students: {members: [alice], aggregate: {max_cpus: 4, memory: 8g}, group_total: {max_tasks: 100}}}
"""


class Machine:
    """A systemd that records its calls."""

    def __init__(self) -> None:
        self.told: list[Sequence[str]] = []

    def __call__(self, arguments: Sequence[str]) -> str:
        if arguments[1] == "show":
            return ""
        self.told.append(arguments[2:])
        return ""


@pytest.fixture
def context(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Any:
    harness.set_policy(POLICY)
    monkeypatch.setattr(slice_limits, "is_running", lambda: True)
    facts = replace(harness.engine.info(), cgroup_driver="systemd")
    monkeypatch.setattr(type(harness.engine), "info", lambda engine: facts)
    return harness.context


def test_a_user_who_came_new_gets_the_limits(harness: Harness, context: Any) -> None:
    machine = Machine()
    report = TickReport(context.clock())
    update_slices(context, [], report, systemd=Systemd(machine, control=harness.root))
    assert report.complete
    assert [words[1] for words in machine.told] == ["ds01-students-alice.slice", "ds01-students.slice"]
    assert harness.kinds().count("slice") == 2


def test_what_fails_is_said(harness: Harness, context: Any) -> None:
    def fails(arguments: Sequence[str]) -> str:
        if arguments[1] == "show":
            return ""
        raise Ds01Error("systemctl failed", why="no bus")

    report = TickReport(context.clock())
    update_slices(context, [], report, systemd=Systemd(fails, control=harness.root))
    assert {(item.container, item.why) for item in report.errors} == {
        ("ds01-students-alice.slice", "no bus"),
        ("ds01-students.slice", "no bus"),
    }


def test_tick_is_silent_where_slices_cannot_be_limited(harness: Harness) -> None:
    harness.set_policy(POLICY)
    report = TickReport(harness.clock())
    update_slices(harness.context, [], report)
    assert report == TickReport(harness.clock())


@pytest.mark.parametrize("error", [Ds01Error("no", why="no bus"), ValueError("no bus")])
def test_slice_failure_is_reported_by_the_tick(harness: Harness, error: Exception) -> None:
    def fails(*args: Any) -> Any:
        raise error

    ticker = TickHarness(harness)
    ticker.start_container()
    tick = ticker.make_tick()
    tick.apply_slices = fails
    report = tick.run()
    assert report.looked_at == 1
    assert [(item.action, item.why.rpartition(": ")[2]) for item in report.errors] == [("slices", "no bus")]
