"""Doctor finds each fault that is planted into a healthy server, and nothing without a fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ds01.engines.protocol import ContainerStatus
from ds01.errors import Ds01Error, EngineUnreachable, GpusUnreachable, PolicyUnreadable
from ds01.gpus.model import Blocker, MigState
from ds01.host.checks import state as check_state
from ds01.host.checks.doctor import CHECKS, apply_fixes, examine, exit_code, fixes_of
from ds01.host.checks.facts import (
    DOCKER_DATA,
    BrokenContainer,
    CronJob,
    DoctorFacts,
    GpuStateFile,
    KernelFacts,
    LastTick,
    Link,
    StoppedContainer,
)
from ds01.host.checks.findings import Finding, Fix, Level
from ds01.host.policy_names import NameFinding, NameKind
from ds01.host.slices import SliceChange
from ds01.policy.model import GpuAllocation, LegacyKey, Override, Policy, SliceLimits
from ds01.policy.reading.load import load
from ds01.records.ledger import UnreadableRecord
from ds01.records.record import Pending, Record
from ds01.records.state_machine import Trigger
from ds01.records.store.gpu_state import gpu_state_allocations
from ds01.system.disks import Disk
from tests.harness import NOON, Harness
from tests.unit.host.healthy_server import CRON, DOCKER, harness_with_container, healthy_facts

FULL = "/var/lib/ds01"
GONE = "library_not_found"


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> DoctorFacts:
    return healthy_facts(harness_with_container(tmp_path_factory.mktemp("doctor") / "bed"))


def policy(facts: DoctorFacts) -> Policy:
    assert facts.policy is not None
    return facts.policy


def one(facts: DoctorFacts) -> Record:
    return facts.records[0]


def with_record(**changes: object) -> Callable[[DoctorFacts], DoctorFacts]:
    return lambda facts: replace(facts, records=(replace(one(facts), **changes),))


def with_policy(**changes: object) -> Callable[[DoctorFacts], DoctorFacts]:
    return lambda facts: replace(facts, policy=replace(policy(facts), **changes))


def with_docker(**changes: object) -> Callable[[DoctorFacts], DoctorFacts]:
    return lambda facts: replace(facts, engine=replace(DOCKER, **changes))


def with_gpu(**changes: object) -> Callable[[DoctorFacts], DoctorFacts]:
    def plant(facts: DoctorFacts) -> DoctorFacts:
        assert facts.observation is not None
        gpus = tuple(replace(gpu, **changes) for gpu in facts.observation.gpus)
        return replace(facts, observation=replace(facts.observation, gpus=gpus))

    return plant


def with_slot(**changes: object) -> Callable[[DoctorFacts], DoctorFacts]:
    def plant(facts: DoctorFacts) -> DoctorFacts:
        assert facts.observation is not None
        first, *others = facts.observation.slots
        slots = (replace(first, **changes), *others)
        return replace(facts, observation=replace(facts.observation, slots=slots))

    return plant


def with_entry(place: int, **changes: object) -> Callable[[DoctorFacts], DoctorFacts]:
    def plant(facts: DoctorFacts) -> DoctorFacts:
        entries = list(facts.entries)
        entries[place] = replace(entries[place], **changes)
        return replace(facts, entries=tuple(entries))

    return plant


def with_container(**changes: object) -> Callable[[DoctorFacts], DoctorFacts]:
    return lambda facts: replace(facts, containers=(replace(facts.containers[0], **changes),))


def with_tick(
    began: datetime, good: datetime | None = None, *, errors: tuple[str, ...] = ()
) -> Callable[[DoctorFacts], DoctorFacts]:
    """The last tick, and the last good one, by default the same."""
    return lambda facts: replace(facts, tick=LastTick(began, good or began, errors))


def with_picture(shown: Mapping[str, object] | None) -> Callable[[DoctorFacts], DoctorFacts]:
    return lambda facts: replace(facts, gpu_state=GpuStateFile(shown))


def without_slots(facts: DoctorFacts) -> DoctorFacts:
    assert facts.observation is not None
    return replace(facts, observation=replace(facts.observation, slots=facts.observation.slots[1:]))


def doubled(facts: DoctorFacts) -> DoctorFacts:
    other = replace(one(facts), container_name="other._.70002", id="other", docker_id="other")
    container = replace(facts.containers[0], id="other", name=other.container_name, labels={})
    return replace(facts, records=(one(facts), other), containers=(*facts.containers, container))


def other_labels(facts: DoctorFacts) -> DoctorFacts:
    seen = facts.containers[0]
    return replace(facts, containers=(replace(seen, labels=dict(seen.labels) | {"ds01.gpu.uuids": "MIG-other"}),))


def unreachable(problem: str) -> Callable[[DoctorFacts], DoctorFacts]:
    def plant(facts: DoctorFacts) -> DoctorFacts:
        error = GpusUnreachable("The GPUs cannot be asked.", why=problem, hint="look", data={"problem": problem})
        return replace(facts, observation=None, gpus_problem=error)

    return plant


# What is planted -> the check that finds it, its level, and a word of what it says.
FAULTS: dict[str, tuple[Callable[[DoctorFacts], DoctorFacts], str, Level, str]] = {
    "an unreadable policy": (
        lambda f: replace(f, policy=None, policy_problem=PolicyUnreadable("The policy has 1 error.", why="line 3")),
        "policy", Level.ERROR, "1 error",
    ),
    "a key of an older installation": (
        with_policy(old_keys=(LegacyKey("policy.yaml", 7, "groups.a.max_runtime_h", "max_runtime: 48h"),)),
        "policy-old-keys", Level.WARNING, "policy.yaml:7",
    ),
    "more CPUs than the server has": (with_docker(cpus=2), "policy-limits", Level.WARNING, "the server has 2"),
    "more memory than the server has": (
        with_policy(user_overrides={"bob": Override("bob", {"memory": 1 << 50})}),
        "policy-limits", Level.WARNING, "user_overrides.bob: memory is 1024t",
    ),
    "containers with more CPUs than their slice, on cgroup version 1": (
        lambda f: with_policy(defaults={"aggregate.max_cpus": 4.0})(with_docker(cgroup_version="1")(f)),
        "policy-cpus", Level.WARNING, "students: max_cpus is 8, but the slice of a user has 4",
    ),
    "a kernel that cannot limit swap": (
        lambda f: replace(f, kernel=replace(f.kernel, limits_swap=False)), "policy-swap", Level.WARNING, "swap",
    ),
    "a login that does not exist": (
        lambda f: replace(f, names=(NameFinding(NameKind.LOGIN, "allice", ("groups.students",), instead="alice"),)),
        "people-unknown", Level.WARNING, "groups.students: there is no user allice; perhaps alice",
    ),
    "a login that the server spells differently": (
        lambda f: replace(f, names=(NameFinding(NameKind.LOGIN, "ALICE", ("groups.students",), True, "alice"),)),
        "policy-spelling", Level.WARNING, "ALICE is alice on this server",
    ),
    "a Unix group that does not exist": (
        lambda f: replace(f, names=(NameFinding(NameKind.UNIX_GROUP, "pupls", ("groups.students",)),)),
        "groups-unknown", Level.WARNING, "there is no Unix group pupls",
    ),
    "a reserved slot that does not exist": (
        lambda f: replace(f, names=(NameFinding(NameKind.SLOT, "7:9", ("reservations[0]",)),)),
        "slots-unknown", Level.WARNING, "reservations[0]: this server has no slot 7:9",
    ),
    "a member of the group docker without a place": (
        lambda f: replace(f, docker_group=replace(f.docker_group, members=frozenset({"alice", "bob", "eve"}))),
        "people-without-place", Level.WARNING, "eve may use Docker",
    ),
    "a user of the policy outside the group docker": (
        lambda f: replace(f, docker_group=replace(f.docker_group, members=frozenset({"alice"}))),
        "people-without-docker", Level.WARNING, "bob is in the policy",
    ),
    "no group docker": (lambda f: replace(f, docker_group=None), "docker-group", Level.ERROR, "no group docker"),
    "a state directory that cannot be used": (
        lambda f: replace(f, ledger_problem=Ds01Error("no state directory")), "state", Level.ERROR, "no state",
    ),
    "a read-only state directory": (
        lambda f: replace(f, unwritable="its file system is read-only"), "state", Level.ERROR, "cannot be written",
    ),
    "a tick that could not judge": (
        lambda f: replace(f, tick=replace(f.tick, not_judged=("thesis._.70001: its CPU time cannot be read",))),
        "tick-unknown", Level.WARNING, "its CPU time",
    ),
    "a state directory without setgid": (with_entry(0, mode=0o775), "state-modes", Level.ERROR, "0775, not 2775"),
    "a sticky state directory": (with_entry(0, mode=0o3775), "state-modes", Level.ERROR, "sticky"),
    "a file created under umask 077": (with_entry(1, mode=0o600), "state-modes", Level.ERROR, "0600, not 0664"),
    "a file of another group": (with_entry(1, gid=0), "state-modes", Level.ERROR, "gid 0, not 999"),
    "a mailbox directory of another user": (with_entry(2, uid=70001), "state-modes", Level.ERROR, "uid 70001, not 0"),
    "a log created under umask 077": (
        with_entry(3, mode=0o600), "state-modes", Level.ERROR, "tick.log has mode 0600, not 0664",
    ),
    "no state directory": (with_entry(0, mode=None), "state-modes", Level.ERROR, "is missing"),
    "a full disk": (
        lambda f: replace(f, disks=(Disk(FULL, ("state",), 1 << 40, 1 << 20, 1 << 20, 9999),)),
        "space", Level.ERROR, "has 1m and 9999 files left of 1t",
    ),
    "a disk without room for more files": (
        lambda f: replace(f, disks=(Disk(FULL, ("state",), 1 << 40, 1 << 39, 100000, 5),)),
        "space", Level.ERROR, "5 files",
    ),
    "a disk that is full soon": (
        lambda f: replace(f, disks=(Disk(FULL, ("state",), 1 << 40, 1 << 29, 0, 0),)),
        "space", Level.WARNING, "has 512m and",
    ),
    "Docker does not answer": (
        lambda f: replace(f, engine=None, containers=None, engine_problem=EngineUnreachable("Docker is not running")),
        "docker", Level.ERROR, "not running",
    ),
    "an old Docker": (with_docker(version="19.03.1"), "docker-version", Level.WARNING, "19.03"),
    "no live-restore": (with_docker(live_restore=False), "docker-live-restore", Level.WARNING, "live-restore is off"),
    "nvidia as the default runtime": (
        with_docker(default_runtime="nvidia"), "docker-runtime", Level.WARNING, "default runtime is nvidia",
    ),
    "a rootless Docker": (
        with_docker(security_options=("seccomp", "rootless")), "docker-rootless", Level.ERROR, "rootless",
    ),
    "userns-remap": (with_docker(security_options=("userns",)), "docker-userns", Level.WARNING, "remaps users"),
    "no-new-privileges": (
        with_docker(security_options=("no-new-privileges",)), "docker-no-new-privileges", Level.WARNING, "no effect",
    ),
    "SELinux": (with_docker(security_options=("selinux",)), "docker-selinux", Level.WARNING, "SELinux"),
    "no NVIDIA runtime hook": (
        lambda f: replace(f, nvidia_hook=False, engine=replace(DOCKER, runtimes=("runc",))),
        "docker-nvidia", Level.ERROR, "no NVIDIA runtime hook",
    ),
    "Docker's cgroupfs driver": (with_docker(cgroup_driver="cgroupfs"), "slices", Level.WARNING, "no effect"),
    "a slice without its limits": (
        lambda f: replace(
            f, slices=(SliceChange("ds01-students-alice.slice", SliceLimits(), SliceLimits(memory=8 << 30)),)
        ),
        "slices", Level.WARNING, "ds01-students-alice.slice has no limits, not 8g",
    ),
    "an unreadable record": (
        lambda f: replace(f, unreadable=(UnreadableRecord("x._.70001", "it is empty"),)),
        "records-unreadable", Level.ERROR, "it is empty",
    ),
    "gpu-state.json without a lease": (
        with_picture({}), "picture", Level.WARNING, "does not match the leases of thesis._.70001",
    ),
    "gpu-state.json with a lease that has ended": (
        lambda f: with_picture(dict(f.gpu_state.shown or {}) | {"old._.70002": {"user": "bob"}})(f),
        "picture", Level.WARNING, "does not match the leases of old._.70002",
    ),
    "gpu-state.json with another GPU": (
        lambda f: with_picture({n: e | {"gpu_id": "0:2"} for n, e in (f.gpu_state.shown or {}).items()})(f),
        "picture", Level.WARNING, "does not match the leases of thesis._.70001",
    ),
    "no gpu-state.json": (with_picture(None), "picture", Level.WARNING, "gpu-state.json is missing"),
    "an unreadable gpu-state.json": (
        lambda f: replace(f, gpu_state=GpuStateFile(problem="it is empty")), "picture", Level.WARNING, "it is empty",
    ),
    "a container that was removed outside ds01": (
        lambda f: replace(f, containers=()), "records-docker", Level.WARNING, "missing in Docker",
    ),
    "a container that was stopped outside ds01": (
        with_container(status=ContainerStatus.EXITED), "records-docker", Level.WARNING, "is exited in Docker",
    ),
    "a container that was paused outside ds01": (
        with_container(status=ContainerStatus.PAUSED), "records-docker", Level.WARNING, "is paused in Docker",
    ),
    "an interrupted command": (
        with_record(pending=Pending(Trigger.STOP, NOON, "alice")), "records-docker", Level.WARNING, "middle of `stop`",
    ),
    "a labelled container without a record": (
        lambda f: replace(f, records=()), "records-missing", Level.WARNING, "has no record",
    ),
    "a container that Docker cannot inspect": (
        lambda f: replace(f, broken=(BrokenContainer("thesis._.70001", True, False, "RWLayer is nil"),)),
        "containers-broken", Level.ERROR, "cannot inspect thesis._.70001: RWLayer is nil",
    ),
    "a label with another name": (
        lambda f: replace(f, containers=tuple(
            replace(seen, labels={**seen.labels, "ds01.container": "other._.70001"}) for seen in f.containers or ()
        )),
        "records-labels", Level.ERROR, "the label ds01.container is other._.70001",
    ),
    "labels that name another GPU": (other_labels, "records-labels", Level.ERROR, "the labels name GPU"),
    "a record of another owner than the label": (
        with_record(uid=70002), "records-labels", Level.ERROR, "the label ds01.uid is 70001",
    ),
    "one GPU leased twice": (doubled, "leases-doubled", Level.ERROR, "is leased to other._.70002 and thesis._.70001"),
    "a lease on an instance that is gone": (without_slots, "leases-lost", Level.WARNING, "has GPU 0:0, which is gone"),
    "a user database that does not answer": (
        lambda f: replace(f, doubts=("thesis._.70001: the user database does not know",)),
        "user-database", Level.WARNING, "does not know",
    ),
    "a conflict": (with_record(conflict="it runs on GPU 0:0"), "conflicts", Level.ERROR, "it runs on GPU 0:0"),
    "cards without a driver": (unreachable(GONE), "nvml", Level.ERROR, "cannot be asked"),
    "a driver that was upgraded under its module": (unreachable("version_mismatch"), "nvml", Level.ERROR, "cannot"),
    "a GPU that is lost": (with_gpu(unhealthy="the GPU is lost"), "gpu-health", Level.ERROR, "GPU 0: the GPU is lost"),
    "an unhealthy MIG instance": (with_slot(unhealthy="NVML said: ?"), "gpu-health", Level.ERROR, "0:0: NVML said"),
    "instances of another profile": (with_slot(profile="3g.20gb"), "gpu-mig", Level.WARNING, "0:0 is 3g.20gb"),
    "MIG without any instance": (with_gpu(mig=MigState.EMPTY), "gpu-mig", Level.WARNING, "no instance"),
    "a MIG mode that waits for a reset": (
        with_gpu(mig=MigState.PENDING, unhealthy="waits"), "gpu-mig", Level.WARNING, "waits for a reset",
    ),
    "instances that the policy does not offer": (
        with_policy(gpu_allocation=GpuAllocation(enable_mig=False)), "gpu-mig", Level.WARNING, "enable_mig: false",
    ),
    "a GPU that is used from outside": (
        lambda f: replace(f, blockers={"0:2": Blocker("process", "python", "outside.ignore_processes", {"pid": 7})}),
        "gpu-outside", Level.WARNING, "0:2 is used by process python (pid 7)",
    ),
    "no links below /dev/char": (
        lambda f: replace(f, kernel=replace(f.kernel, device_links={"/dev/char/195:0": "../nvidia0"})),
        "gpu-device-links", Level.WARNING, "/dev/char/195:0 is missing",
    ),
    "no cron entry": (lambda f: replace(f, cron=CronJob("/etc/cron.d/ds01")), "cron", Level.ERROR, "is missing"),
    "a cron entry that is a comment": (
        lambda f: replace(f, cron=replace(f.cron, text="# ds01 tick\n")),
        "cron", Level.ERROR, "does not start `ds01 tick`",
    ),
    "a cron entry that cron ignores": (
        lambda f: replace(f, cron=replace(f.cron, mode=0o664)),
        "cron", Level.ERROR, "mode 0664",
    ),
    "cron does not run": (
        lambda f: replace(f, cron=replace(f.cron, running=False)),
        "cron-daemon", Level.ERROR, "cron does not run",
    ),
    "an old tick": (with_tick(NOON - timedelta(minutes=21)), "tick", Level.ERROR, "21 minutes ago"),
    "a good tick that is old, and bad ones since": (
        with_tick(NOON - timedelta(minutes=1), NOON - timedelta(hours=2)), "tick", Level.ERROR, "120 minutes ago",
    ),
    "no good tick yet": (
        lambda f: replace(f, tick=LastTick(NOON)), "tick", Level.ERROR, "no tick has succeeded",
    ),
    "no tick at all": (lambda f: replace(f, tick=LastTick()), "tick", Level.WARNING, "no tick has run yet"),
    "an unreadable tick": (lambda f: replace(f, tick=LastTick(problem="empty")), "tick", Level.WARNING, "empty"),
    "a tick with errors": (
        with_tick(NOON, NOON - timedelta(minutes=5), errors=("thesis._.70001: busy",)),
        "tick-errors", Level.WARNING, "busy",
    ),
    "a clock before the last tick": (with_tick(NOON + timedelta(hours=1)), "clock", Level.WARNING, "the last tick was"),
    "a clock before a record": (
        lambda f: with_tick(NOON - timedelta(hours=1))(replace(f, now=NOON - timedelta(hours=1))),
        "clock", Level.WARNING, "thesis._.70001 changed at",
    ),
    "a command without its link": (
        lambda f: replace(f, links=(Link("/usr/bin/container-run", None),)), "links", Level.WARNING, "container-run",
    ),
    "another program with a command's name": (
        lambda f: replace(f, links=(Link("/usr/bin/container-run", "/opt/other"),)),
        "links", Level.WARNING, "/opt/other",
    ),
    "no program on the PATH": (lambda f: replace(f, program=None), "links", Level.WARNING, "not on the PATH"),
}  # fmt: skip


def wrong(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.level is not Level.OK]


def test_nothing_is_wrong_with_a_sound_server(facts: DoctorFacts) -> None:
    findings = examine(facts)
    assert wrong(findings) == []
    assert exit_code(findings) == 0
    assert [finding.check for finding in findings] == [check[0] for check in CHECKS]


def test_a_server_without_gpus_and_driver_is_sound(facts: DoctorFacts) -> None:
    nothing = replace(
        unreachable(GONE)(facts), kernel=KernelFacts(), records=(), containers=(), gpu_state=GpuStateFile({})
    )
    assert wrong(examine(nothing)) == []


def with_cdi(facts: DoctorFacts, *names: str, version: str = "29.1.3") -> list[Finding]:
    """What is found where Docker of this version knows these devices by CDI."""
    assert facts.observation is not None
    real = replace(facts.observation, simulated=False)
    return wrong(examine(replace(facts, observation=real, engine=replace(DOCKER, version=version), cdi=names)))


def test_cdi_specifications_that_have_every_gpu_are_fine(facts: DoctorFacts) -> None:
    assert facts.observation is not None
    uuids = [slot.uuid for slot in facts.observation.slots]
    assert with_cdi(facts, *uuids, facts.observation.gpus[0].uuid, "0", "0:0", "all") == []
    assert with_cdi(facts, "MIG-old", version="28.5.2") == []


def test_instance_missing_in_cdi_is_an_error(facts: DoctorFacts) -> None:
    assert facts.observation is not None
    known, *others = (slot.uuid for slot in facts.observation.slots)
    (finding,) = with_cdi(facts, known, "MIG-old")
    assert (finding.check, finding.level) == ("gpu-cdi", Level.ERROR)
    assert all(uuid in finding.found for uuid in others)
    assert "nvidia-ctk cdi generate" in (finding.hint or "")
    assert [item.check for item in with_cdi(facts)] == ["gpu-cdi"]


def test_an_instance_that_is_gone_from_the_driver_is_a_warning(facts: DoctorFacts) -> None:
    assert facts.observation is not None
    (finding,) = with_cdi(facts, *(slot.uuid for slot in facts.observation.slots), "MIG-old")
    assert (finding.check, finding.level) == ("gpu-cdi", Level.WARNING)
    assert "MIG-old" in finding.found


def test_gpus_without_a_process_list_are_one_finding(facts: DoctorFacts) -> None:
    blocker = Blocker("unknown", "no list", "outside.ignore_missing_process_list")
    (finding,) = wrong(examine(replace(facts, blockers=dict.fromkeys(("0:0", "0:1", "0:2"), blocker))))
    assert finding.check == "gpu-outside"
    assert "0:0, 0:1, 0:2" in finding.found
    assert "outside.ignore_missing_process_list" in (finding.hint or "")


def test_missing_driver_is_an_error_if_a_gpu_is_leased(facts: DoctorFacts) -> None:
    (finding,) = wrong(examine(replace(unreachable(GONE)(facts), kernel=KernelFacts())))
    assert (finding.check, finding.level) == ("nvml", Level.ERROR)
    assert "thesis of alice has GPU 0:0" in (finding.why or "")


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(facts: DoctorFacts, fault: str) -> None:
    plant, check, level, words = FAULTS[fault]
    planted = plant(facts)
    if planted.records != facts.records:  # the command that changed a record rewrote gpu-state.json
        planted = replace(planted, gpu_state=GpuStateFile(gpu_state_allocations(planted.records)))
    findings = wrong(examine(planted))
    found = [finding for finding in findings if finding.check == check]
    assert found and found[0].level is level, findings
    assert words in found[0].found
    assert exit_code(findings) == (2 if any(item.level is Level.ERROR for item in findings) else 1)
    assert found[0].why or check in ("policy", "state", "docker", "tick")
    # One fault is one finding, but for what follows from it.
    assert len({finding.check for finding in findings}) == 1, findings


def test_gpu_state_of_an_unreadable_record_is_accepted(facts: DoctorFacts) -> None:
    unreadable = replace(facts, records=(), unreadable=(UnreadableRecord(one(facts).container_name, "it is empty"),))
    assert [finding.check for finding in check_state.gpu_state(unreadable)] == []
    assert list(check_state.gpu_state(replace(unreadable, gpu_state=GpuStateFile({})))) == []
    assert list(check_state.gpu_state(replace(facts, records=(), gpu_state=GpuStateFile()))) == []


def test_more_than_25_kinds() -> None:
    assert len({check for _, check, _, _ in FAULTS.values()}) >= 25


UNSEEN: dict[str, tuple[dict[str, object], set[str]]] = {
    "no policy": (
        {"policy": None},
        {"policy", "policy-names", "policy-old-keys", "policy-members", "policy-limits", "policy-cpus", "policy-swap",
         "people",          "user-database", "slices", "gpu-mig"},
    ),
    "no state": (
        {"ledger_problem": Ds01Error("x")},
        {"user-database", "state", "records-unreadable", "picture", "records-docker", "records-labels", "leases",
         "gpu-outside"},
    ),
    "no engine": (
        {"engine": None},
        {"docker", "docker-setup", "policy-limits", "policy-cpus", "slices", "gpu-device-links", "gpu-cdi"},
    ),
    "a simulated engine": (
        {"engine": replace(DOCKER, name="simulated")},
        {"docker", "docker-setup", "slices", "gpu-device-links", "gpu-cdi"},
    ),
    "containers that could not be listed": (
        {"containers": None}, {"records-docker", "records-labels", "containers-broken"},
    ),
    "GPUs that do not answer": (
        {"observation": None}, {"policy-names", "gpu-health", "gpu-mig", "gpu-cdi", "leases"},
    ),
    "a Docker without CDI": ({"cdi": None}, {"gpu-cdi"}),
    "unknown outside use": ({"blockers": None}, {"gpu-outside"}),
    "no group docker to compare with": ({"docker_group": None}, {"people", "docker-group"}),
    "others' processes hidden": ({"cron": CronJob("/etc/cron.d/ds01", 0o644, 0, CRON)}, {"cron-daemon"}),
    "unknown disks": ({"disks": None}, {"space"}),
    "a sandbox": (
        {"sandbox": True},
        {"policy-names", "people", "docker-group", "state-modes", "slices", "gpu-device-links", "cron", "cron-daemon",
         "links"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("unseen", UNSEEN)
def test_what_was_not_observed_is_not_called_sound(facts: DoctorFacts, unseen: str) -> None:
    changes, silent = UNSEEN[unseen]
    told = {finding.check for finding in examine(replace(facts, **changes)) if finding.level is Level.OK}
    assert told == {check[0] for check in CHECKS} - silent


def test_records_are_compared_only_with_listed_containers(facts: DoctorFacts) -> None:
    """Docker answers, and an unreadable policy keeps ds01 from asking it for its containers."""
    planted = replace(facts, policy=None, policy_problem=PolicyUnreadable("The policy has 1 error."), containers=None)
    assert [finding.check for finding in wrong(examine(planted))] == ["policy"]


def test_what_a_command_is_at_work_on_is_left_alone(facts: DoctorFacts) -> None:
    planted = with_record(pending=Pending(Trigger.STOP, NOON, "alice"))(facts)
    assert wrong(examine(replace(planted, busy=frozenset({one(facts).container_name})))) == []


def test_machine_checks_are_skipped_in_a_sandbox(facts: DoctorFacts) -> None:
    links = {"/dev/char/195:0": "../nvidia0"}
    own = replace(facts, sandbox=True, docker_group=None, cron=CronJob("/etc/cron.d/ds01", running=False), program=None,
                  entries=(), kernel=replace(facts.kernel, device_links=links))  # fmt: skip
    assert wrong(examine(own)) == []


@pytest.mark.parametrize("fault", [None, "no live-restore", "Docker's cgroupfs driver"])
def test_what_docker_is_can_be_read_whatever_is_wrong_with_it(facts: DoctorFacts, fault: str | None) -> None:
    found = {finding.check: finding for finding in examine(FAULTS[fault][0](facts) if fault else facts)}
    driver = "cgroupfs" if fault and "cgroupfs" in fault else "systemd"
    assert found["docker"].level is Level.OK
    assert found["docker"].found == f"Docker 27.3.1 answers; cgroup driver {driver}, cgroup version 2"


def test_full_docker_disk_names_the_largest_stopped_containers(facts: DoctorFacts) -> None:
    stopped = tuple(StoppedContainer(f"{name}._.70001", "alice", size << 20) for name, size in
                    (("b", 20), ("a", 1), ("d", 4000), ("c", 300)))  # fmt: skip
    disks = (Disk("/", ("ds01's state",), 1 << 40, 1 << 29, 0, 0), Disk("/d", (DOCKER_DATA,), 1 << 40, 1 << 29, 0, 0))
    states, dockers = wrong(examine(replace(facts, disks=disks, stopped=stopped)))
    assert "a._.70001" not in (states.why or "")
    assert "d._.70001 of alice (3.9g), c._.70001 of alice (300m), b._.70001 of alice (20m) and 1 more" in (
        dockers.why or ""
    )
    assert "`container-cleanup`, root with `--user alice`" in (dockers.hint or "")


def test_an_override_is_judged_with_the_group_of_its_user(facts: DoctorFacts) -> None:
    """The server has 64 CPUs: what a group gives counts, too, for a member with an override of something else."""
    rules = policy(facts)
    big = {"students": replace(rules.groups["students"], values={"max_cpus": 65.0})}
    planted = replace(rules, groups=big, user_overrides={"bob": Override("bob", {"memory": 1 << 50})})
    found = [finding.found for finding in wrong(examine(replace(facts, policy=planted)))]
    assert [
        text for text in found if text.startswith("user_overrides.bob: max_cpus is 65, but the server has 64; memory")
    ]
    small = {"students": replace(rules.groups["students"], values={"max_cpus": 4.0})}
    planted = replace(rules, defaults={"max_cpus": 9.0}, groups=small,
                      user_overrides={"bob": Override("bob", {"memory": 1 << 30})})  # fmt: skip
    found = [finding.found for finding in wrong(examine(with_docker(cpus=8)(replace(facts, policy=planted))))]
    assert [text.split(":")[0] for text in found] == ["defaults"]


def test_an_override_is_judged_with_the_unix_group_of_its_user(facts: DoctorFacts) -> None:
    rules = policy(facts)
    group = replace(rules.groups["students"], members=frozenset(), unix_groups=frozenset({"pupils"}),
                    values={"max_cpus": 65.0})  # fmt: skip
    known = tuple(replace(account, groups=("pupils",)) for account in facts.people.accounts)
    planted = replace(rules, groups={"students": group}, user_overrides={"bob": Override("bob", {"memory": 1 << 50})})
    given = replace(facts, policy=planted, people=replace(facts.people, accounts=known))
    assert any("user_overrides.bob: max_cpus is 65" in finding.found for finding in wrong(examine(given)))


def test_the_document_has_the_contracts_keys(facts: DoctorFacts) -> None:
    plant = FAULTS["a state directory without setgid"][0]
    document = wrong(examine(plant(facts)))[0].document
    assert list(document) == ["check", "level", "found", "why", "hint", "fixable", "fixed"]
    assert (document["level"], document["fixable"], document["fixed"]) == ("error", True, False)
    json.dumps(document)


def test_fixed_finding_is_marked_and_does_not_count(facts: DoctorFacts) -> None:
    planted = FAULTS["a file created under umask 077"][0](FAULTS["no live-restore"][0](facts))
    made: dict[Fix, str] = {}
    findings = apply_fixes(examine(planted), made.__setitem__, lambda: examine(FAULTS["no live-restore"][0](facts)))
    assert made == fixes_of(examine(planted))
    (why,) = made.values()
    assert "installation has mode 0600, not 0664" in why
    assert [(f.check, f.fixed) for f in wrong(findings)] == [("state-modes", True), ("docker-live-restore", False)]
    assert len([finding for finding in findings if finding.check == "state-modes"]) == 1
    assert exit_code(findings) == 1


def test_a_repair_that_fails_is_said(facts: DoctorFacts) -> None:
    planted = FAULTS["a file created under umask 077"][0](facts)

    def fail(_: Fix, why: str) -> None:
        raise OSError(30, "Read-only file system")

    findings = wrong(apply_fixes(examine(planted), fail, lambda: examine(planted)))
    assert [(finding.check, finding.fixed) for finding in findings] == [("state-modes", False)]
    assert "Read-only file system" in (findings[0].why or "")


def test_the_shipped_policy_is_sound_on_a_large_server(tmp_path: Path, facts: DoctorFacts, harness: Harness) -> None:
    shipped = load(Path(__file__).parents[3] / "config" / "resource-limits.yaml")
    people = replace(facts.people, accounts=())
    found = wrong(examine(replace(facts, policy=shipped, people=people)))
    assert [finding.check for finding in found] in ([], ["gpu-mig"])
