"""The facts of a healthy server: Docker with the systemd driver, an A100 with MIG, two users, one container."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ds01.engines.protocol import EngineInfo
from ds01.gpus.simulated import parse_inventory
from ds01.host.checks.facts import (
    DOCKER_DATA,
    CronJob,
    DoctorFacts,
    FileEntry,
    GpuStateFile,
    KernelFacts,
    LastTick,
    Link,
)
from ds01.host.people import People, UnixGroup, collect_people
from ds01.records.store.gpu_state import gpu_state_allocations
from ds01.system.disks import Disk
from tests.harness import NOON, Harness

POLICY = """\
groups:
  students: {members: [alice, bob], aggregate: {memory: 8g}}
gpu_allocation: {mig_profile: 2g.10gb}
"""
PEOPLE = {"alice": 70001, "bob": 70002, "root": 0}
GPUS = "1xA100:3x2g.10gb"
PROGRAM = "/usr/lib/ds01/ds01"
CRON = "*/5 * * * * root [ ! -x /usr/bin/ds01 ] || /usr/bin/ds01 tick >>/var/log/ds01/tick.log 2>&1\n"
DOCKER = EngineInfo(
    id="ID", name="docker", version="27.3.1", cgroup_driver="systemd", cgroup_version="2", live_restore=True,
    default_runtime="runc", runtimes=("nvidia", "runc"), cpus=64, memory_bytes=512 << 30,
)  # fmt: skip


def harness_with_container(folder: Path) -> Harness:
    """The sandbox with the server's containers: alice's `thesis` runs on a GPU."""
    harness = Harness(folder, policy=POLICY, gpus=GPUS, people=PEOPLE)
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.start(harness.actor("alice"), harness.full("alice"))
    return harness


def healthy_facts(harness: Harness) -> DoctorFacts:
    """The server as it should be."""
    containers = tuple(harness.engine.containers())
    state = "/var/lib/ds01"
    return DoctorFacts(
        now=NOON,
        sandbox=False,
        policy=replace(harness.policy, path=Path("/etc/ds01/resource-limits.yaml")),
        entries=(
            FileEntry(state, True, 0o2775, 0, 999, 0o2775, 0, 999),
            FileEntry(f"{state}/installation", False, 0o664, 0, 999, 0o664, None, 999),
            FileEntry(f"{state}/notices", True, 0o755, 0, 0, 0o755, 0),
            FileEntry("/var/log/ds01/tick.log", False, 0o664, 0, 999, 0o664, None, 999),
        ),
        disks=(Disk(state, ("ds01's state", DOCKER_DATA), 1 << 40, 1 << 39, 1 << 20, 1 << 19),),
        records=tuple(harness.records()),
        gpu_state=GpuStateFile(gpu_state_allocations(harness.records())),
        engine=DOCKER,
        containers=containers,
        ours=frozenset(container.id for container in containers),
        blockers={},
        observation=replace(parse_inventory(GPUS).observe(), driver="550.54", simulated=False),
        kernel=KernelFacts(swap_bytes=8 << 30, nvidia_cards=1),
        cdi=("0:0", "0:1", "0:2"),
        cron=CronJob("/etc/cron.d/ds01", 0o644, 0, CRON, True),
        tick=LastTick(NOON - timedelta(minutes=3), NOON - timedelta(minutes=3)),
        docker_group=UnixGroup("docker", 999, frozenset({"alice", "bob"})),
        people=collect_people(harness.policy, records=harness.records(), users=harness.context.users),
        program=PROGRAM,
        links=(Link("/usr/bin/container-list", PROGRAM), Link("/usr/bin/add-user-to-docker", PROGRAM)),
    )


def with_people(facts: DoctorFacts, *logins: str) -> People:
    """Only these of the people."""
    return People(tuple(account for account in facts.people.accounts if account.login in logins))
