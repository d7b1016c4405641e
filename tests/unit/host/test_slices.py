"""Slices: what the policy wants, what must change, and how systemd is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ds01.errors import Ds01Error
from ds01.host import apply as applying
from ds01.host.people import people_of
from ds01.host.slices import Change, plan_slices, wanted_slices
from ds01.host.systemd import Systemd
from ds01.policy.model import SliceLimits
from tests.bed import NOON, Bed

POLICY = """\
groups:
  students: {members: [alice, first.last@x, nobody_has_this], aggregate: {memory: 8g}, group_total: {max_cpus: 12.5}}
  staff: {members: [bob], group_total: {memory: 400g, max_tasks: 100}}
user_overrides:
  alice: {aggregate: {max_cpus: 2}}
"""
PEOPLE = {"alice": 70001, "bob": 70002, "first.last@x": 70004, "root": 0}


@pytest.fixture
def bed(fast_tmp: Path) -> Bed:
    return Bed(fast_tmp / "bed", policy=POLICY, people=PEOPLE)


def wanted(bed: Bed) -> dict[str, SliceLimits]:
    people = people_of(bed.policy, records=bed.records(), users=bed.context.users)
    return wanted_slices(bed.policy, people.known, bed.records(), bed.clock())


def test_groups_and_users_with_limits_have_slices(bed: Bed) -> None:
    found = wanted(bed)
    assert found == {
        "ds01-students.slice": SliceLimits(max_cpus=12.5),
        "ds01-staff.slice": SliceLimits(memory=400 << 30, max_tasks=100),
        "ds01-students-alice.slice": SliceLimits(max_cpus=2, memory=8 << 30),
        next(unit for unit in found if "first_last_x_" in unit): SliceLimits(memory=8 << 30),
    }


def test_logins_that_nobody_has_are_told_apart(bed: Bed) -> None:
    people = people_of(bed.policy, records=[], users=bed.context.users)
    assert people.unknown == {"nobody_has_this"}
    assert [account.login for account in people.known] == ["alice", "bob", "first.last@x"]


def test_who_changed_the_group_keeps_the_slice_that_containers_run_in(bed: Bed) -> None:
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    bed.set_policy(POLICY.replace("[alice, ", "[").replace("[bob]", "[bob, alice]"))
    found = wanted(bed)
    assert found["ds01-students-alice.slice"] == found["ds01-staff-alice.slice"] == SliceLimits(max_cpus=2)


def test_an_owner_whom_the_policy_does_not_name_has_a_slice(bed: Bed) -> None:
    bed.set_policy("defaults: {aggregate: {max_tasks: 9}}\n")
    assert wanted(bed) == {}
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    assert wanted(bed) == {"ds01-default-alice.slice": SliceLimits(max_tasks=9)}


def test_only_differences_are_planned_and_what_was_dropped_goes() -> None:
    a, b = SliceLimits(max_cpus=1), SliceLimits(memory=1 << 30)
    changes = plan_slices({"ds01-a.slice": a, "ds01-b.slice": b}, {"ds01-a.slice": a, "ds01-c.slice": b})
    assert changes == [Change("ds01-b.slice", SliceLimits(), b), Change("ds01-c.slice", b, SliceLimits())]


def test_what_is_above_ds01s_slices_is_left_alone() -> None:
    assert plan_slices({}, {"ds01.slice": SliceLimits(max_cpus=1), "system.slice": SliceLimits(max_cpus=1)}) == []


class FakeSystemctl:
    """`systemctl show` and `set-property`, over a dictionary."""

    def __init__(self, **shown: str) -> None:
        self.calls: list[list[str]] = []
        self.shown = shown

    def __call__(self, arguments: Sequence[str]) -> str:
        self.calls.append(list(arguments))
        if arguments[1] == "set-property" and "ds01-broken.slice" in arguments:
            raise Ds01Error("systemctl failed with code 1", why="Failed to set unit properties")
        return "\n\n".join(f"Id={unit.replace('_', '-')}.slice\n{text}" for unit, text in self.shown.items())


def test_limits_are_read_in_one_call(tmp_path: Path) -> None:
    (tmp_path / "ds01-old.slice.d").mkdir()
    systemctl = FakeSystemctl(
        ds01_a="CPUQuotaPerSecUSec=1min 36s 500ms\nMemoryMax=1024\nTasksMax=infinity\n",
        ds01_b="CPUQuotaPerSecUSec=infinity\nMemoryMax=infinity\nTasksMax=18446744073709551615\n",
    )
    assert Systemd(systemctl, control=tmp_path).limits(["ds01-new.slice"]) == {"ds01-a.slice": SliceLimits(96.5, 1024)}
    assert systemctl.calls[0][-4:] == ["--", "ds01-*.slice", "ds01-new.slice", "ds01-old.slice"]


def test_only_what_differs_is_set() -> None:
    systemctl = FakeSystemctl()
    change = Change(
        "ds01-a.slice", SliceLimits(max_cpus=1, memory=5, max_tasks=7), SliceLimits(max_cpus=1.5, max_tasks=7)
    )
    Systemd(systemctl).set_limits(change)
    assert systemctl.calls == [
        ["systemctl", "set-property", "--", "ds01-a.slice", "CPUQuota=150%", "MemoryMax=infinity"]
    ]


def test_a_dropped_slice_leaves_no_file_of_ours(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ds01-a.slice.d", tmp_path / "ds01-b.slice.d"
    for folder in (ours, theirs):
        folder.mkdir()
        (folder / "50-CPUQuota.conf").touch()
    (theirs / "50-IOWeight.conf").touch()
    for unit in ("ds01-a.slice", "ds01-b.slice"):
        Systemd(FakeSystemctl(), control=tmp_path).set_limits(Change(unit, SliceLimits(max_cpus=1), SliceLimits()))
    assert [path.name for path in tmp_path.rglob("*")] == ["ds01-b.slice.d", "50-IOWeight.conf"]


def test_nothing_that_runs_is_ended_by_a_lower_limit() -> None:
    change = Change("ds01-a.slice", SliceLimits(memory=100), SliceLimits(max_cpus=1, memory=50))
    now, waiting = applying.spared([change], {"ds01-a.slice": 51})
    assert now == [Change("ds01-a.slice", SliceLimits(memory=100), SliceLimits(max_cpus=1, memory=100))]
    assert waiting == [change]
    assert applying.spared([change], {"ds01-a.slice": 50}) == ([change], [])


def test_one_failure_does_not_stop_the_others() -> None:
    changes = [Change(f"ds01-{name}.slice", SliceLimits(), SliceLimits(max_tasks=5)) for name in ("broken", "sound")]
    outcome = applying.apply(changes, systemd=Systemd(FakeSystemctl()))
    assert [change.unit for change in outcome.changed] == ["ds01-sound.slice"]
    assert outcome.failed == ((changes[0], "Failed to set unit properties"),)


def test_limits_of_slices_need_the_systemd_driver(bed: Bed) -> None:
    with pytest.raises(Ds01Error, match="systemd cgroup driver"):
        applying.plan(bed.policy, [], bed.context.users, NOON, driver="cgroupfs")
    bed.set_policy("defaults: {}\n")
    assert applying.plan(bed.policy, [], bed.context.users, NOON, driver="cgroupfs") == []
