"""The automation on an installed host, with a given clock; only one test waits for cron."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.host.machine import Host
from tests.server import IMAGE, LIBRARY

POLICY = """\
defaults:
  max_cpus: 1
  memory: 96m
  shm_size: 24m
  ulimits: {memlock: null}
  idle_timeout: 10m
  gpu_hold_after_stop: 20m
  container_hold_after_stop: 40m
ports: []
policies: {stop_grace: 2s, idle_cpu_percent: 0.2}
"""

Tick = Callable[[float], Any]


@pytest.fixture
def lab(host: Host) -> Host:
    host.write("/etc/ds01/resource-limits.yaml", POLICY)
    return host


@pytest.fixture
def tick(lab: Host) -> Tick:
    """One pass so many minutes after the start of the test; its report."""
    began = datetime.now(timezone.utc)

    def at(minute: float, *, code: int = 0) -> Any:
        now = (began + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return lab.answer("ds01 tick", env={"DS01_NOW": now}, code=code)

    return at


def deploy(lab: Host, user: str, name: str, *options: str) -> Any:
    return lab.answer(f"container-deploy {name} --image {IMAGE} --background {' '.join(options)}", user=user)[
        "container"
    ]


def states(lab: Host) -> dict[str, str]:
    views = lab.answer("container-list --all-users")["containers"]
    return {view["name"]: view["state"] for view in views}


def leases(lab: Host) -> list[str]:
    """Every leased UUID; one that is leased twice stands here twice."""
    views = lab.answer("container-list --all-users")["containers"]
    return [gpu["uuid"] for view in views for gpu in view["gpus"]]


def test_idle_container_is_warned_stopped_released_and_removed(lab: Host, tick: Tick) -> None:
    deploy(lab, "alice", "idle")
    deploy(lab, "bob", "kept")
    lab.run("touch ~/workspace/kept/.keep-alive", user="bob")
    deploy(lab, "carol", "busy", "--cpu-only")
    lab.docker("exec", "-d", lab.docker("ps", "-q", "--filter", "name=busy"), "sh", "-c", "while :; do :; done")
    # A terminal of alice's that takes messages: what is written there lands in the file.
    lab.run("script -qfc 'sleep 300' /tmp/terminal >/tmp/nothing 2>&1 </dev/null &", user="alice")
    seen: dict[str, int] = {}
    for minute in range(1, 14):
        report = tick(minute)
        assert not report["errors"], report
        for item in report["warned"] + report["acted"]:
            assert item["container"].startswith("idle."), item
            seen[item["action"]] = minute
    assert 8 <= seen["warn"] < seen["stop"] <= 12
    assert seen["stop"] >= 10
    assert states(lab) == {"idle": "held", "kept": "running", "busy": "running"}
    assert [item["action"] for item in tick(seen["stop"] + 21)["acted"]] == ["release"]
    assert [item["action"] for item in tick(seen["stop"] + 35)["warned"] if "idle." in item["container"]] == ["warn"]
    removed = [item for item in tick(seen["stop"] + 41)["acted"] if "idle." in item["container"]]
    assert [item["action"] for item in removed] == ["remove"]
    assert "idle" not in states(lab)

    events = [json.loads(line) for line in lab.read("/var/log/ds01/events.jsonl").splitlines()]
    told_twice = ("notice", "lease")  # a lease follows from its container's transitions
    mine = [event for event in events if (event["container"] or "").startswith("idle.")]
    mine = [event for event in mine if event["type"] not in told_twice]
    mine = [event.get("trigger") or event["type"] for event in mine]
    assert mine == ["create", "start", "warning", "stop", "release", "warning", "remove"]
    assert "idle is idle" in lab.read("/tmp/terminal")
    uid = lab.run("id -u", user="alice").stdout.strip()
    assert lab.mode(f"/var/lib/ds01/notices/{uid}.jsonl").startswith("600 alice")
    notices = lab.run("ds01 notices", user="alice").stdout
    assert [word in notices for word in ("will be stopped", "was stopped", "is free for others", "was removed")] == [
        True
    ] * 4
    assert lab.run("ds01 notices", user="alice").stdout == ""
    assert lab.run("test -d ~/workspace/idle", user="alice")


@pytest.mark.timeout(200)
def test_cron_runs_the_tick_by_itself(lab: Host) -> None:
    line = "* * * * * root ds01 tick >>/var/log/ds01/tick.log 2>&1\n"
    lab.write("/etc/cron.d/test-tick", line)
    try:
        lab.run("rm -f /var/lib/ds01/tick.json; systemctl start cron")
        until = time.monotonic() + 130
        while lab.run("test -s /var/lib/ds01/tick.json", code=None).returncode != 0:
            assert time.monotonic() < until, lab.run("cat /var/log/ds01/tick.log", code=None).stdout
            time.sleep(1)
        assert json.loads(lab.read("/var/lib/ds01/tick.json"))["errors"] == []
    finally:
        lab.run("systemctl stop cron; rm -f /etc/cron.d/test-tick")


def test_changes_made_with_docker_are_recorded_by_ticks(lab: Host, tick: Tick) -> None:
    gone = deploy(lab, "alice", "gone")
    stopped = deploy(lab, "bob", "stopped")
    lab.docker("rm", "-f", gone["docker_id"])
    lab.docker("stop", "-t", "0", stopped["docker_id"])
    for minute in (1, 2):
        tick(minute)
    assert states(lab) == {"stopped": "held"}
    assert leases(lab) == [stopped["gpus"][0]["uuid"]]


def test_outside_start_on_a_leased_gpu_is_stopped(lab: Host, tick: Tick) -> None:
    first = deploy(lab, "alice", "first")
    other = deploy(lab, "bob", "other")
    lab.run("container-stop first --release", user="alice")
    taker = deploy(lab, "carol", "taker")
    assert taker["gpus"][0]["uuid"] == first["gpus"][0]["uuid"]
    lab.docker("start", first["docker_id"])
    assert sorted(leases(lab)) == sorted([other["gpus"][0]["uuid"], taker["gpus"][0]["uuid"]])
    for minute in (1, 2):
        tick(minute)
    assert states(lab) == {"first": "stopped", "other": "running", "taker": "running"}
    for user in ("alice", "carol"):
        assert "first" in lab.run("ds01 notices", user=user).stdout


def test_dockerd_restart_is_recorded_without_double_leases(lab: Host, tick: Tick) -> None:
    deploy(lab, "alice", "one")
    deploy(lab, "bob", "two")
    lab.run("systemctl restart docker")
    for minute in (1, 2):
        tick(minute)
    assert states(lab) == {"one": "held", "two": "held"}
    assert len(set(leases(lab))) == 2
    lab.run("container-start one", user="alice")


def test_without_nvml_nothing_is_given_back_and_nothing_ends(lab: Host, tick: Tick) -> None:
    deploy(lab, "alice", "one")
    lab.run(f"mv {LIBRARY} {LIBRARY}.away")
    try:
        for _ in range(2):
            lab.run("ds01 tick", code=None)
        assert states(lab) == {"one": "running"}
        assert len(leases(lab)) == 1
    finally:
        lab.run(f"mv {LIBRARY}.away {LIBRARY}")


MIG_GPU = "gpu uuid=GPU-m name=NVIDIA_A100 memory=42949672960 mig=1"
MIG = "mig 0:{0} uuid=MIG-{0} name=NVIDIA_A100_MIG_2g.10gb memory=10737418240 gi={0} ci=0 slices=2 compute=2"


def test_vanished_mig_instance_keeps_its_lease(lab: Host, tick: Tick) -> None:
    lab.show_gpus(MIG_GPU, MIG.format(0), MIG.format(2))
    deploy(lab, "alice", "one")
    (held,) = leases(lab)
    (other,) = {"MIG-0", "MIG-2"} - {held}
    again = MIG.format(held[-1]).replace(f"uuid={held}", "uuid=MIG-new")
    lab.show_gpus(MIG_GPU, MIG.format(other[-1]), again)
    for minute in (1, 2):
        tick(minute)
    assert leases(lab) == [held]
    assert states(lab) == {"one": "running"}
    free = {deploy(lab, user, "two")["gpus"][0]["uuid"] for user in ("bob", "carol")}
    assert free == {other, "MIG-new"}
    slots = {slot["uuid"]: (slot["slot"], slot["was"]) for slot in lab.answer("ds01 gpu status")["slots"]}
    was = f"0:{held[-1]}"
    assert slots == {held: (held, was), other: (f"0:{other[-1]}", None), "MIG-new": (was, None)}
    lab.run("container-stop one", user="alice")
    assert "container-start one --recreate --wait" in lab.run("container-start one", user="alice", code=6).stderr


def test_a_full_disk_ends_nothing_and_is_over_when_there_is_room(lab: Host, tick: Tick) -> None:
    lab.run("mount -t tmpfs -o size=400k,mode=2775,gid=$(getent group docker | cut -d: -f3) none /var/lib/ds01")
    try:
        lab.run("systemd-tmpfiles --create ds01.conf")
        container = deploy(lab, "alice", "one")
        lab.run("dd if=/dev/zero of=/var/lib/ds01/full bs=1k count=1000", code=None)
        lab.docker("stop", "-t", "0", container["docker_id"])
        lab.run("ds01 tick", code=1)
        lab.run("rm /var/lib/ds01/full")
        for minute in (1, 2):
            tick(minute)
        assert states(lab) == {"one": "held"}
        lab.run("container-retire one --force", user="alice")
    finally:
        lab.run("umount /var/lib/ds01")


def test_clock_jump_ends_nothing_without_a_warning(lab: Host, tick: Tick) -> None:
    deploy(lab, "alice", "one")
    for minute in (1, 2):
        tick(minute)
    assert tick(62)["acted"] == []  # an hour ahead: at most a warning
    back = tick(1, code=1)
    assert back["acted"] == []
    assert [item["action"] for item in back["unknown"]] == ["clock"]
    assert states(lab) == {"one": "running"}
