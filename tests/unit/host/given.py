"""A sound server, given as facts: Docker with the systemd driver, an A100 with MIG, two people, one container."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ds01.engines.protocol import EngineInfo
from ds01.gpus.simulated import parse_inventory
from ds01.host.checks.facts import DOCKERS, Cron, Disk, Entry, Facts, Kernel, Link, Picture, Tick
from ds01.host.people import People, UnixGroup, people_of
from ds01.records.store.picture import allocations
from tests.bed import NOON, Bed

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


def bed_at(folder: Path) -> Bed:
    """The bed whose containers the server has: alice's `thesis` runs on a GPU."""
    bed = Bed(folder, policy=POLICY, gpus=GPUS, people=PEOPLE)
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    bed.gate.start(bed.actor("alice"), bed.full("alice"))
    return bed


def sound(bed: Bed) -> Facts:
    """The server as it should be."""
    containers = tuple(bed.engine.containers())
    state = "/var/lib/ds01"
    return Facts(
        now=NOON,
        own=False,
        policy=replace(bed.policy, path=Path("/etc/ds01/resource-limits.yaml")),
        entries=(
            Entry(state, True, 0o2775, 0, 999, 0o2775, 0, 999),
            Entry(f"{state}/installation", False, 0o664, 0, 999, 0o664, None, 999),
            Entry(f"{state}/notices", True, 0o755, 0, 0, 0o755, 0),
            Entry("/var/log/ds01/tick.log", False, 0o664, 0, 999, 0o664, None, 999),
        ),
        disks=(Disk(state, ("ds01's state", DOCKERS), 1 << 40, 1 << 39, 1 << 20, 1 << 19),),
        records=tuple(bed.records()),
        picture=Picture(allocations(bed.records())),
        engine=DOCKER,
        containers=containers,
        ours=frozenset(container.id for container in containers),
        blockers={},
        observation=replace(parse_inventory(GPUS).observe(), driver="550.54", simulated=False),
        kernel=Kernel(swap_bytes=8 << 30, nvidia_cards=1),
        cdi=("0:0", "0:1", "0:2"),
        cron=Cron("/etc/cron.d/ds01", 0o644, 0, CRON, True),
        tick=Tick(NOON - timedelta(minutes=3), NOON - timedelta(minutes=3)),
        docker_group=UnixGroup("docker", 999, frozenset({"alice", "bob"})),
        people=people_of(bed.policy, records=bed.records(), users=bed.context.users),
        program=PROGRAM,
        links=(Link("/usr/bin/container-list", PROGRAM), Link("/usr/bin/add-user-to-docker", PROGRAM)),
    )


def with_people(facts: Facts, *logins: str) -> People:
    """Only these of the people."""
    return People(tuple(account for account in facts.people.known if account.login in logins))
