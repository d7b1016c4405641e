"""The slices of users who came new: set by the next tick; what fails there is said, and stops nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ds01.automation.report import Report
from ds01.errors import Ds01Error
from ds01.host import apply
from ds01.host.slicing import bring_slices
from ds01.host.systemd import Systemd
from tests.bed import Bed
from tests.ticking import Ticking

POLICY = """\
groups: {students: {members: [alice], aggregate: {max_cpus: 4, memory: 8g}, group_total: {max_tasks: 100}}}
"""


class Machine:
    """A systemd that was asked, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Sequence[str]] = []

    def __call__(self, arguments: Sequence[str]) -> str:
        if arguments[1] == "show":
            return ""
        self.told.append(arguments[2:])
        return ""


@pytest.fixture
def context(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Any:
    bed.set_policy(POLICY)
    monkeypatch.setattr(apply, "is_running", lambda: True)
    facts = replace(bed.engine.info(), cgroup_driver="systemd")
    monkeypatch.setattr(type(bed.engine), "info", lambda engine: facts)
    return bed.context


def test_a_user_who_came_new_gets_the_limits(bed: Bed, context: Any) -> None:
    machine = Machine()
    report = Report(context.clock())
    bring_slices(context, [], report, systemd=Systemd(machine, control=bed.root))
    assert report.complete
    assert [words[1] for words in machine.told] == ["ds01-students-alice.slice", "ds01-students.slice"]
    assert bed.kinds().count("slice") == 2


def test_what_fails_is_said(bed: Bed, context: Any) -> None:
    def fails(arguments: Sequence[str]) -> str:
        if arguments[1] == "show":
            return ""
        raise Ds01Error("systemctl failed", why="no bus")

    report = Report(context.clock())
    bring_slices(context, [], report, systemd=Systemd(fails, control=bed.root))
    assert {(item.container, item.why) for item in report.errors} == {
        ("ds01-students-alice.slice", "no bus"),
        ("ds01-students.slice", "no bus"),
    }


def test_where_nobody_keeps_such_limits_the_tick_is_silent(bed: Bed) -> None:
    bed.set_policy(POLICY)
    report = Report(bed.clock())
    bring_slices(bed.context, [], report)
    assert report == Report(bed.clock())


@pytest.mark.parametrize("error", [Ds01Error("no", why="no bus"), ValueError("no bus")])
def test_what_fails_there_keeps_nothing_else_from_being_done_and_is_said(bed: Bed, error: Exception) -> None:
    def fails(*args: Any) -> Any:
        raise error

    ticking = Ticking(bed)
    ticking.runs()
    tick = ticking.make()
    tick.slices = fails
    report = tick.run()
    assert report.looked_at == 1
    assert [(item.action, item.why.rpartition(": ")[2]) for item in report.errors] == [("slices", "no bus")]
