"""After a reboot and after a power cut holds and leases are what they were, and what ran has ended with the server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.machine.conftest import Day, Restart
from tests.machine.machine import Machine

WHY = "the server was restarted"


@pytest.fixture(params=["reboot", "power_cut"])
def restart(request: pytest.FixtureRequest) -> Restart:
    found: Restart = request.getfixturevalue(request.param)
    return found


def lease(record: Any) -> list[str]:
    return [slot["uuid"] for slot in record["lease"]["slots"]]


def leases(records: Any) -> list[str]:
    """Every leased UUID; one that is leased twice stands here twice."""
    return sorted(uuid for record in records.values() if record["lease"] for uuid in lease(record))


def test_all_leases_are_what_they_were(restart: Restart) -> None:
    assert {name: record["lease"] for name, record in restart.after.items()} == {
        name: record["lease"] for name, record in restart.before.items()
    }
    assert len(set(leases(restart.after))) == len(leases(restart.after)) == 3


def test_reboot_is_recorded_and_the_lease_is_held(restart: Restart) -> None:
    ran = [name for name, record in restart.before.items() if record["state"] == "running"]
    assert ran
    for name in ran:
        record, step = restart.after[name], restart.after[name]["history"][-1]
        assert record["state"] == "held"
        assert (step["trigger"], step["actor"], step["why"]) == ("stop", "observed", WHY)
        assert record["stopped_at"] == step["at"] > restart.before[name]["started_at"]
        assert record["held_until"] is not None


def test_a_hold_ends_when_it_would_have_ended(day: Day, reboot: Restart) -> None:
    before, after = day.records["idle"], reboot.after["idle"]
    assert before["state"] == after["state"] == "held"
    assert before["held_until"] == after["held_until"] is not None
    assert before["history"] == after["history"]


def test_what_never_ran_has_not_changed(restart: Restart) -> None:
    assert restart.after["next"] == restart.before["next"]
    assert restart.after["next"]["state"] == "created"


def test_the_tick_after_it_has_no_errors(restart: Restart) -> None:
    assert restart.report["errors"] == []
    reconciled = {item["container"].split(".")[0] for item in restart.report["acted"]}
    assert reconciled >= {name for name, record in restart.before.items() if record["state"] == "running"}


def test_what_ran_starts_again_on_the_same_gpu(restart: Restart) -> None:
    record = restart.again["busy"]
    assert record["state"] == "running"
    assert lease(record) == lease(restart.before["busy"])


def test_limits_of_slices_are_in_force_again(day: Day, restart: Restart) -> None:
    assert restart.limits == day.limits


def test_a_create_that_the_power_cut_ended_leaves_nothing(power_cut: Restart, machine: Machine) -> None:
    assert "late" not in power_cut.before and "late" not in power_cut.after
    late = power_cut.again["late"]
    assert late["state"] == "running" and lease(late) == ["GPU-3"]
    assert len(set(leases(power_cut.again))) == len(leases(power_cut.again)) == 4
    assert machine.docker("ps", "--all", "--quiet").count("\n") + 1 == 4


def test_every_file_is_whole_after_a_power_cut(power_cut: Restart, machine: Machine) -> None:
    assert machine.run("ls /var/lib/ds01/container-metadata | grep -v '[.]json$'", code=None).stdout.split() == [
        "removed"
    ]
