"""Slices: what the policy wants, what must change, and the calls of systemctl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ds01.errors import Ds01Error
from ds01.host import slice_limits
from ds01.host.people import collect_people
from ds01.host.slices import SliceChange, plan_slices, wanted_slices
from ds01.host.systemd import Systemd
from ds01.policy.model import SliceLimits
from tests.harness import NOON, Harness

POLICY = """\
groups:
  students: {members: [alice, first.last@x, nobody_has_this], aggregate: {memory: 8g}, group_total: {max_cpus: 12.5}}
  staff: {members: [bob], group_total: {memory: 400g, max_tasks: 100}}
user_overrides:
  alice: {aggregate: {max_cpus: 2}}
"""
PEOPLE = {"alice": 70001, "bob": 70002, "first.last@x": 70004, "root": 0}


@pytest.fixture
def harness(fast_tmp: Path) -> Harness:
    return Harness(fast_tmp / "bed", policy=POLICY, people=PEOPLE)


def wanted(harness: Harness) -> dict[str, SliceLimits]:
    people = collect_people(harness.policy, records=harness.records(), users=harness.context.users)
    return wanted_slices(harness.policy, people.accounts, harness.records(), harness.clock())


def test_groups_and_users_with_limits_have_slices(harness: Harness) -> None:
    found = wanted(harness)
    assert found == {
        "ds01-students.slice": SliceLimits(max_cpus=12.5),
        "ds01-staff.slice": SliceLimits(memory=400 << 30, max_tasks=100),
        "ds01-students-alice.slice": SliceLimits(max_cpus=2, memory=8 << 30),
        next(unit for unit in found if "first_last_x_" in unit): SliceLimits(memory=8 << 30),
    }


def test_nonexistent_logins_are_distinguished(harness: Harness) -> None:
    people = collect_people(harness.policy, records=[], users=harness.context.users)
    assert people.unknown_logins == {"nobody_has_this"}
    assert [account.login for account in people.accounts] == ["alice", "bob", "first.last@x"]


def test_slice_of_the_old_group_stays_while_in_use(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.set_policy(POLICY.replace("[alice, ", "[").replace("[bob]", "[bob, alice]"))
    found = wanted(harness)
    assert found["ds01-students-alice.slice"] == found["ds01-staff-alice.slice"] == SliceLimits(max_cpus=2)


def test_an_owner_whom_the_policy_does_not_name_has_a_slice(harness: Harness) -> None:
    harness.set_policy("defaults: {aggregate: {max_tasks: 9}}\n")
    assert wanted(harness) == {}
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    assert wanted(harness) == {"ds01-default-alice.slice": SliceLimits(max_tasks=9)}


def test_only_differences_are_planned_and_what_was_dropped_goes() -> None:
    a, b = SliceLimits(max_cpus=1), SliceLimits(memory=1 << 30)
    changes = plan_slices({"ds01-a.slice": a, "ds01-b.slice": b}, {"ds01-a.slice": a, "ds01-c.slice": b})
    assert changes == [SliceChange("ds01-b.slice", SliceLimits(), b), SliceChange("ds01-c.slice", b, SliceLimits())]


def test_slice_above_ds01s_is_left_alone() -> None:
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
    change = SliceChange(
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
        Systemd(FakeSystemctl(), control=tmp_path).set_limits(SliceChange(unit, SliceLimits(max_cpus=1), SliceLimits()))
    assert [path.name for path in tmp_path.rglob("*")] == ["ds01-b.slice.d", "50-IOWeight.conf"]


def test_nothing_that_runs_is_ended_by_a_lower_limit() -> None:
    change = SliceChange("ds01-a.slice", SliceLimits(memory=100), SliceLimits(max_cpus=1, memory=50))
    now, waiting = slice_limits.split_by_usage([change], {"ds01-a.slice": 51})
    assert now == [SliceChange("ds01-a.slice", SliceLimits(memory=100), SliceLimits(max_cpus=1, memory=100))]
    assert waiting == [change]
    assert slice_limits.split_by_usage([change], {"ds01-a.slice": 50}) == ([change], [])


def test_one_failure_does_not_stop_the_others() -> None:
    changes = [
        SliceChange(f"ds01-{name}.slice", SliceLimits(), SliceLimits(max_tasks=5)) for name in ("broken", "sound")
    ]
    outcome = slice_limits.apply_changes(changes, systemd=Systemd(FakeSystemctl()))
    assert [change.unit for change in outcome.changed] == ["ds01-sound.slice"]
    assert outcome.failed == ((changes[0], "Failed to set unit properties"),)


def test_limits_of_slices_need_the_systemd_driver(harness: Harness) -> None:
    with pytest.raises(Ds01Error, match="systemd cgroup driver"):
        slice_limits.plan_changes(harness.policy, [], harness.context.users, NOON, driver="cgroupfs")
    harness.set_policy("defaults: {}\n")
    assert slice_limits.plan_changes(harness.policy, [], harness.context.users, NOON, driver="cgroupfs") == []
