"""The virtual machine with the package installed, and what happens in it: two people's day, a reboot, a power cut.

Each part is a fixture that says what it saw, since a boot takes half a minute and more; the tests look at that.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.machine import machine as emulated
from tests.machine.machine import Machine
from tests.nvml import standin
from tests.server import A100, GPUS, IMAGE, archive, busybox_image, server_files

TOP = Path(__file__).resolve().parents[2]
ALL = 600  # seconds, for everything: whichever test is the first boots the machine
PEOPLE = ("alice", "bob", "carol")
POLICY = """\
defaults: {max_mig_instances: 2, max_cpus: 0.75, memory: 96m, shm_size: 24m, pids_limit: 77}
groups:
  students:
    members: [alice, bob, carol]
    aggregate:   {max_cpus: 1, memory: 128m, max_tasks: 120}
    group_total: {max_cpus: 1.25, memory: 192m, max_tasks: 300}
ports: []
policies: {stop_grace: 1s}
"""
GROUP = "ds01.slice/ds01-students.slice"
ALICE_SLICE = f"{GROUP}/ds01-students-alice.slice"
LIMITS = ("cpu.max", "memory.max", "memory.swap.max", "pids.max")
RECORDS = "/var/lib/ds01/container-metadata"

Records = dict[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(ALL))


@dataclass(frozen=True)
class Day:
    """Two people's day: what was seen of it before anything went down."""

    limits: dict[str, dict[str, str]]  # of alice's container, her slice, and her group's: file by file
    activity: dict[str, Any]  # the records' `activity` after two ticks, by container
    stats: Any  # what alice's `container-stats` says of hers
    hog: tuple[int, int]  # what ate more memory than its container has: its exit code, and how many the kernel ended
    records: Records  # at its end


@dataclass(frozen=True)
class Restart:
    """The server went down and came back: what was seen of it."""

    before: Records
    after: Records  # when a tick has run
    report: Any  # of that tick
    again: Records  # when what had run was started again
    limits: dict[str, dict[str, str]]  # then, as in Day


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A server with cgroup v2, ds01, four A100, three people, an image, and no container; cron does not run."""
    if not emulated.is_possible():
        pytest.skip("needs qemu-system-x86")
    if os.geteuid() != 0:
        pytest.skip("the disk of a virtual machine is root's to make")
    if standin.compiler() is None:
        pytest.skip("needs a C compiler")
    package: Path = request.getfixturevalue("package")
    made = subprocess.run([TOP / "packaging" / "machine-image"], check=True, stdout=subprocess.PIPE, text=True)
    files = server_files(standin.build(tmp_path_factory.mktemp("nvml"), file=GPUS)) | {
        GPUS[1:]: ("\n".join(map(A100.format, range(4))) + "\n", 0o644),
        "opt/test/agent.py": (Path(emulated.__file__).with_name("agent.py").read_bytes(), 0o644),
        "opt/test/image.tar": (busybox_image(), 0o644),
        "opt/test/ds01.deb": (package.read_bytes(), 0o644),
    }
    machine = Machine(Path(made.stdout.strip()), tmp_path_factory.mktemp("machine"), archive(files))
    try:
        imported = machine.begin(f"docker import - {IMAGE} </opt/test/image.tar")
        for person in PEOPLE:
            machine.run(f"useradd --create-home --shell /bin/bash --groups docker {person}")
        # The manual's index would take longer than the rest.
        machine.run("dpkg --install --force-unsafe-io --no-triggers /opt/test/ds01.deb")
        imported.end()
        machine.write("/etc/ds01/resource-limits.yaml", POLICY)
        yield machine
    finally:
        machine.close()


@pytest.fixture(scope="session")
def day(machine: Machine) -> Day:
    """alice has a container that computes; bob one that is idle, and then stopped, and one that never ran."""
    together(
        machine,
        ("alice", f"container-deploy busy --image {IMAGE} --background"),
        ("bob", f"container-deploy idle --image {IMAGE} --background"),
    )
    # Some percent of a processor, which is enough: an endless loop would only make everything else slow.
    machine.docker("exec", "--detach", container(machine, "busy"), "sh", "-c", "while sleep 0.1; do :; done")
    machine.run("ds01 tick")
    looking = machine.begin("container-stats --json", user="alice")
    machine.run(f"container-create next --image {IMAGE}", user="bob")
    (stats,) = json.loads(looking.end().stdout)["containers"]
    machine.run("ds01 tick")
    activity = {name: record["activity"] for name, record in records(machine).items()}
    machine.run("container-stop idle", user="bob")
    return Day(limits_of(machine), activity, stats, hog(machine), records(machine))


@pytest.fixture(scope="session")
def reboot(machine: Machine, day: Day) -> Restart:
    """An administrator restarts the server; then alice and bob go on."""
    before = records(machine)
    machine.reboot()
    return come_back(machine, before, ("alice", "container-start busy"), ("bob", "container-start idle"))


@pytest.fixture(scope="session")
def power_cut(machine: Machine, reboot: Restart) -> Restart:
    """The power is lost after a tick, while carol's container is made; then alice goes on, and carol begins anew."""
    machine.run("ds01 tick")
    before = records(machine)
    deploy = f"container-deploy late --image {IMAGE} --background"
    machine.begin(deploy, user="carol")
    # Docker is held where it is: until the power is off, this machine may be busy with something else.
    machine.run(f"until ls {RECORDS}/late.*.json; do :; done; pkill -STOP -x dockerd")
    machine.lose_power()
    return come_back(machine, before, ("alice", "container-start busy"), ("carol", deploy))


def come_back(machine: Machine, before: Records, *commands: tuple[str, str]) -> Restart:
    """What is there after a start, and after people have gone on."""
    report = machine.answer("ds01 tick")
    after = records(machine)
    together(machine, *commands)
    return Restart(before, after, report, records(machine), limits_of(machine))


def together(machine: Machine, *commands: tuple[str, str]) -> None:
    """What several people do at the same time."""
    for begun in [machine.begin(command, user=user) for user, command in commands]:
        begun.end()


def records(machine: Machine) -> Records:
    """All records of containers that are there, by the owner's name for them."""
    found = [json.loads(line) for line in machine.run(f"cat {RECORDS}/*.json").stdout.splitlines()]
    return {record["name"]: record for record in found}


def container(machine: Machine, name: str) -> str:
    """Docker's id of a container."""
    return str(records(machine)[name]["docker_id"])


def hog(machine: Machine) -> tuple[int, int]:
    """Eat more memory than alice's container has, beside her computation."""
    busy = container(machine, "busy")
    eaten = machine.run(f"docker exec {busy} dd if=/dev/zero of=/dev/null bs=120M count=1", code=None)
    events = dict(line.split() for line in machine.cgroup(busy, "memory.events").splitlines())
    return eaten.returncode, int(events["oom_kill"])


def limits_of(machine: Machine) -> dict[str, dict[str, str]]:
    """What the kernel holds alice's container, her slice and her group's slice to."""
    places = {"container": machine.cgroup_path(container(machine, "busy")), "user": ALICE_SLICE, "group": GROUP}
    return {what: {file: machine.slice_file(path, file) for file in LIMITS} for what, path in places.items()}
