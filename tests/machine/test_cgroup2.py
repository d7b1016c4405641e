"""With cgroup v2, as today's systems have it: limits, and what ds01 reads of containers."""

from __future__ import annotations

from tests.machine.conftest import Day
from tests.machine.machine import Machine

DEVICE, LINK = "/dev/nvidia0", "/dev/char/195:0"


def test_it_is_cgroup_v2_and_docker_leaves_it_to_systemd(machine: Machine) -> None:
    assert machine.run("stat -f -c %T /sys/fs/cgroup").stdout.strip() == "cgroup2fs"
    assert machine.docker("info", "--format", "{{.CgroupVersion}} {{.CgroupDriver}}") == "2 systemd"


def test_a_containers_cgroup_has_the_limits_of_the_policy(day: Day) -> None:
    assert day.limits["container"] == {
        "cpu.max": "75000 100000",
        "memory.max": str(96 << 20),
        "memory.swap.max": "0",
        "pids.max": "77",
    }


def test_the_slices_of_user_and_group_have_their_shares(day: Day) -> None:
    user, group = day.limits["user"], day.limits["group"]
    assert (user["cpu.max"], user["memory.max"], user["pids.max"]) == ("100000 100000", str(128 << 20), "120")
    assert (group["cpu.max"], group["memory.max"], group["pids.max"]) == ("125000 100000", str(192 << 20), "300")


def test_two_ticks_distinguish_busy_from_idle(day: Day) -> None:
    busy, idle = day.activity["busy"], day.activity["idle"]
    assert busy["state"] == "active" and busy["why"].startswith("CPU ")
    assert idle["state"] == "idle"
    assert busy["sample"]["cpu_nanoseconds"] > idle["sample"]["cpu_nanoseconds"] > 0


def test_stats_show_cpu_memory_and_processes(day: Day) -> None:
    # Its limit is 75, but the machine is emulated: its clock stands still while its host is busy. It has two cores.
    assert 0 < day.stats["cpu_percent"] < 200
    assert 0 < day.stats["memory_bytes"] < day.stats["memory_limit_bytes"] == 96 << 20
    assert day.stats["pids"] >= 2


def test_memory_limit_ends_only_the_offending_program(day: Day) -> None:
    assert day.hog == (137, 1)
    assert day.records["busy"]["state"] == "running"


def test_doctor_creates_the_missing_device_link(machine: Machine, day: Day) -> None:
    machine.run(f"mknod {DEVICE} c 195 0; systemctl start cron")
    answer = machine.answer("ds01 doctor --fix", code=None)
    machine.run(f"systemctl stop cron; test {LINK} -ef {DEVICE}")
    found = {item["check"]: item["fixed"] for item in answer["findings"] if item["level"] != "ok"}
    assert found == {"gpu-device-links": True, "docker-live-restore": False}
