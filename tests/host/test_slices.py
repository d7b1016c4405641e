"""The slices of users and groups take effect: their cgroup files, and a process that exceeds its memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.machine import Host
from tests.server import IMAGE
from tests.wait import wait_until

POLICY = """\
defaults: {max_cpus: 2, memory: 1g, shm_size: 24m, pids_limit: 99, ulimits: {memlock: null}}
groups:
  students:
    members: [alice, bob]
    aggregate:   {max_cpus: 1, memory: 128m, max_tasks: 120}
    group_total: {max_cpus: 1.5, memory: 192m, max_tasks: 300}
ports: []
policies: {stop_grace: 1s}
"""
GROUP = "ds01.slice/ds01-students.slice"
ALICE_SLICE = f"{GROUP}/ds01-students-alice.slice"
CONTROL = "/etc/systemd/system.control"


@pytest.fixture
def lab(host: Host) -> Iterator[Host]:
    host.write("/etc/ds01/resource-limits.yaml", POLICY)
    host.run("ds01 slices apply")
    yield host
    host.write("/etc/ds01/resource-limits.yaml", "defaults: {}\n")
    host.run("ds01 slices apply")


def deploy(lab: Host, user: str, name: str = "thesis") -> None:
    lab.run(f"container-deploy {name} --image {IMAGE} --cpu-only --background", user=user)


def hog(lab: Host, user: str, size: str, name: str = "thesis") -> int:
    """Take so much memory in a container; the exit code."""
    command = f"container-run {name} -- dd if=/dev/zero of=/dev/null bs={size} count=1"
    return lab.run(command, user=user, code=None).returncode


def memory_of(lab: Host, pattern: str) -> int:
    """The kilobytes of the largest process whose command line has the pattern; busybox's dd takes the `=` out of it."""
    found = lab.run(f"ps -o rss= -p $(pgrep -d, -f '{pattern}')", code=None).stdout.split()
    return max(map(int, found), default=0)


def limits(lab: Host, path: str) -> tuple[str, str]:
    """Memory and tasks of a slice."""
    memory = "memory.max" if lab.has_cgroup2 else "memory.limit_in_bytes"
    return lab.slice_file(path, memory), lab.slice_file(path, "pids.max")


def cpus(lab: Host, path: str) -> float:
    """The CPUs of a slice."""
    if lab.has_cgroup2:
        quota, period = lab.slice_file(path, "cpu.max").split()
    else:
        quota, period = (lab.slice_file(path, f"cpu.cfs_{what}_us") for what in ("quota", "period"))
    return int(quota) / int(period)


def test_cgroup_files_show_the_limits_of_user_and_group(lab: Host) -> None:
    deploy(lab, "alice")
    assert limits(lab, ALICE_SLICE) == (str(128 << 20), "120")
    assert limits(lab, GROUP) == (str(192 << 20), "300")
    assert (cpus(lab, ALICE_SLICE), cpus(lab, GROUP)) == (1, 1.5)


def test_slice_memory_limit_applies_to_all_containers_of_a_user(lab: Host) -> None:
    deploy(lab, "alice")
    assert hog(lab, "alice", "60M") == 0
    assert hog(lab, "alice", "160M") not in (0, 125)
    # Two containers of one user share the slice.
    deploy(lab, "alice", "second")
    lab.docker(
        "exec", "-d", "second._." + uid(lab, "alice"), "sh", "-c", "dd if=/dev/zero of=/dev/null bs=90M count=9999999"
    )
    wait_until(lambda: memory_of(lab, "[b]s.90M") > 90_000)
    codes = {hog(lab, "alice", "80M") for _ in range(3)}
    running = lab.run(["pgrep", "-f", "bs.90M"], code=None).returncode == 0
    assert codes != {0} or not running


def test_a_group_cannot_pass_its_own_slice(lab: Host) -> None:
    for user in ("alice", "bob"):
        deploy(lab, user)
    for user in ("alice", "bob"):
        lab.docker(
            "exec", "-d", f"thesis._.{uid(lab, user)}", "dd", "if=/dev/zero", "of=/dev/null", "bs=110M", "count=9999999"
        )
    lab.run("for i in 1 2 3 4 5 6 7 8 9 10; do [ $(pgrep -cx dd) = 2 ] || exit 0; sleep 1; done; exit 1")
    peak = "memory.max_usage_in_bytes" if not lab.has_cgroup2 else "memory.current"
    assert int(lab.slice_file(GROUP, peak)) <= 192 << 20


def test_a_second_application_changes_nothing_and_doctor_agrees(lab: Host) -> None:
    assert "All slices match the policy" in lab.run("ds01 slices apply").stdout
    checks = {item["check"]: item["level"] for item in lab.answer("ds01 doctor", code=None)["findings"]}
    assert checks["slices"] == "ok"


def test_what_the_policy_drops_is_removed_while_containers_run(lab: Host) -> None:
    deploy(lab, "alice")
    lab.write(
        "/etc/ds01/resource-limits.yaml",
        POLICY.replace("    aggregate:   {max_cpus: 1, memory: 128m, max_tasks: 120}\n", ""),
    )
    found = [item for item in lab.answer("ds01 doctor", code=None)["findings"] if item["check"] == "slices"]
    assert [(item["level"], item["fixable"]) for item in found] == [("warning", True)]
    lab.run("ds01 slices apply")
    memory, tasks = limits(lab, ALICE_SLICE)
    assert memory not in (str(128 << 20), str(192 << 20)) and tasks == "max"
    assert limits(lab, GROUP) == (str(192 << 20), "300")
    assert lab.run(f"ls {CONTROL}").stdout.split() == ["ds01-students.slice.d"]
    assert lab.inspect(f"thesis._.{uid(lab, 'alice')}")["State"]["Running"]


def test_limits_are_kept_over_a_reload_of_systemd(lab: Host) -> None:
    lab.run("systemctl daemon-reload")
    assert "All slices match the policy" in lab.run("ds01 slices apply").stdout
    deploy(lab, "alice")
    assert limits(lab, ALICE_SLICE) == (str(128 << 20), "120")


def uid(lab: Host, user: str) -> str:
    return lab.run(["id", "-u", user]).stdout.strip()
