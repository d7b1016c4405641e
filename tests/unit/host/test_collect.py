"""Collecting doctor's facts: each source separately, and unknown where nothing could be observed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ds01.automation.report import BUSY, ReportItem, TickReport, tick_document
from ds01.engines.protocol import Devices, EngineInfo
from ds01.errors import Ds01Error, EngineUnreachable, GpusUnreachable, PolicyUnreadable
from ds01.host import machine_facts
from ds01.host.checks import collect
from ds01.host.checks import gpus as check_gpus
from ds01.host.checks import records as check_records
from ds01.host.checks.collect import FactSources, collect_facts
from ds01.host.checks.facts import DOCKER_DATA, DoctorFacts
from ds01.host.machine_facts import SystemRoots
from ds01.host.people import UnixGroup
from ds01.system.disks import Disk
from ds01.system.settings import Settings
from ds01.system.users import Users
from tests.harness import NOON, Harness


def failing(error: Ds01Error) -> Callable[[], Any]:
    def ask() -> Any:
        raise error

    return ask


@pytest.fixture
def sources(harness: Harness) -> FactSources:
    """A server in the sandbox's directory: one container of alice's on a GPU, and an empty machine."""
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.start(harness.actor("alice"), harness.full("alice"))
    roots = SystemRoots(*(harness.root / name for name in ("dev", "proc", "sys", "cron", "docker")))
    return FactSources(
        settings=Settings(state=harness.state, log=harness.root / "log", sandbox=True),
        users=harness.context.users,
        now=harness.clock(),
        policy=lambda: harness.policy,
        ledger=harness.open_ledger,
        inventory=lambda: harness.inventory,
        engine=harness.engine.info,
        context=lambda: harness.context,
        roots=roots,
    )


def as_docker(harness: Harness, root_dir: Path) -> EngineInfo:
    return replace(harness.engine.info(), name="docker", root_dir=str(root_dir))


def test_everything_that_can_be_is_observed(harness: Harness, sources: FactSources) -> None:
    facts = collect_facts(sources)
    assert [record.container_name for record in facts.records] == [harness.full("alice")]
    assert [container.name for container in facts.containers or ()] == [harness.full("alice")]
    assert facts.ours == {container.id for container in facts.containers or ()}
    assert facts.blockers == {}
    assert facts.observation is not None and facts.engine is not None and facts.policy is harness.policy
    assert facts.gpu_state.shown and facts.ledger
    assert {account.login for account in facts.people.accounts} == {"alice", "boss"}
    assert facts.busy == frozenset()


def test_use_from_outside_is_seen(harness: Harness, sources: FactSources) -> None:
    harness.engine.add_foreign("others", devices=Devices(everything=True, form="device_request"))
    facts = collect_facts(sources)
    assert facts.blockers and {blocker.who for blocker in facts.blockers.values()} == {"others"}
    assert len(facts.containers or ()) == 2 and len(facts.ours) == 1


def test_what_a_command_is_at_work_on_is_busy(harness: Harness, sources: FactSources) -> None:
    with harness.open_ledger().container_lock(harness.full("alice"), doing="being looked at"):
        assert collect_facts(sources).busy == {harness.full("alice")}


def test_conflict_is_not_outside_use(harness: Harness, sources: FactSources) -> None:
    harness.gate.stop(harness.actor("alice"), harness.full("alice"), release=True)
    for login, gpus in (("bob", 2), ("carol", 1)):  # all instances
        harness.gate.create(harness.actor(login), harness.request(login, gpus=gpus))
    harness.engine.start(harness.full("alice"))
    harness.gate.reconcile(harness.actor("root"))
    facts = collect_facts(sources)
    assert facts.blockers, "whoever asks for the GPU is told of the container"
    checks = (check_records.leases, check_gpus.outside)
    assert [finding.check for check in checks for finding in check(facts)] == ["conflicts"]


def unknown(facts: DoctorFacts, *names: str) -> None:
    """These, and none of the others, were not observed; each with its problem."""
    fields = ("policy", "ledger", "engine", "containers", "observation", "blockers")
    assert {name for name in fields if getattr(facts, name) is None} == set(names)


def test_without_a_policy_containers_are_unknown_and_not_gone(sources: FactSources) -> None:
    problem = PolicyUnreadable("The policy has 1 error.")
    facts = collect_facts(replace(sources, policy=failing(problem), context=failing(problem)))
    unknown(facts, "policy", "containers", "blockers")
    assert facts.policy_problem is problem and facts.records


def test_without_an_engine_containers_are_unknown(sources: FactSources) -> None:
    problem = EngineUnreachable("Docker is not running")
    facts = collect_facts(replace(sources, engine=failing(problem)))
    unknown(facts, "engine", "containers", "blockers")
    assert facts.engine_problem is problem


def test_the_containers_of_another_engine_prove_nothing(harness: Harness, sources: FactSources) -> None:
    (harness.state / "engine").write_text("of last time\n")
    facts = collect_facts(sources)
    unknown(facts, "engine", "containers", "blockers")
    assert isinstance(facts.engine_problem, EngineUnreachable)


def test_without_gpus_use_of_them_is_unknown(sources: FactSources) -> None:
    problem = GpusUnreachable("The GPUs cannot be asked.")
    facts = collect_facts(replace(sources, inventory=failing(problem)))
    unknown(facts, "observation", "blockers")
    assert facts.gpus_problem is problem


def test_without_a_ledger_there_are_no_records(sources: FactSources) -> None:
    problem = Ds01Error("no state folder")
    facts = collect_facts(replace(sources, ledger=failing(problem), context=failing(problem)))
    unknown(facts, "ledger", "containers", "blockers")
    assert facts.ledger_problem is problem and facts.records == ()


# the machine


def test_sandbox_collects_nothing_of_the_machine(harness: Harness, sources: FactSources) -> None:
    (harness.root / "cron").write_text("x")
    facts = collect_facts(sources)
    assert (facts.entries, facts.cron, facts.program, facts.links, facts.slices) == ((), None, None, (), ())
    server = collect_facts(replace(sources, settings=replace(sources.settings, sandbox=False)))
    assert server.cron is not None and server.cron.text == "x"
    assert {entry.path for entry in server.entries} >= {str(harness.state), str(harness.root / "log")}


def test_slices_are_compared_on_a_server_with_docker(
    harness: Harness, sources: FactSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        collect.slice_limits, "plan_changes", lambda *_, driver, **more: asked.append(driver) or ["a change"]
    )
    docker = replace(as_docker(harness, harness.root), cgroup_driver="systemd")
    server = replace(sources, engine=lambda: docker, settings=replace(sources.settings, sandbox=False))
    assert collect_facts(server).slices == ("a change",)
    assert collect_facts(replace(sources, engine=lambda: docker)).slices == (), "the machine's, in a state of one's own"
    assert asked == ["systemd"]


def held(facts: DoctorFacts) -> set[str]:
    return {what for disk in facts.disks or () for what in disk.holds}


def test_dockers_disk_is_where_docker_says(harness: Harness, sources: FactSources) -> None:
    facts = collect_facts(replace(sources, engine=lambda: as_docker(harness, Path("/proc"))))
    assert [(disk.path, disk.holds) for disk in facts.disks or ()][-1] == ("/proc", (DOCKER_DATA,))
    assert DOCKER_DATA not in held(
        collect_facts(replace(sources, engine=lambda: as_docker(harness, harness.root / "gone")))
    )


def test_unreachable_docker_is_assumed_at_the_default_root(harness: Harness, sources: FactSources) -> None:
    silent = replace(sources, engine=failing(EngineUnreachable("Docker is not running")))
    assert DOCKER_DATA not in held(collect_facts(silent))
    (harness.root / "docker").mkdir()
    assert DOCKER_DATA in held(collect_facts(silent))


def test_a_simulated_engine_has_no_disk(harness: Harness, sources: FactSources) -> None:
    (harness.root / "docker").mkdir()
    assert held(collect_facts(sources)) == {"ds01's state"}


@pytest.mark.parametrize(("free", "named"), [(1 << 20, ["old._.70002"]), (1 << 39, [])])
def test_stopped_containers_are_measured_on_a_nearly_full_disk(
    harness: Harness, sources: FactSources, monkeypatch: pytest.MonkeyPatch, free: int, named: list[str]
) -> None:
    harness.gate.create(harness.actor("bob"), harness.request("bob", "old"))
    harness.engine.add_foreign("others", running=False)
    full = (Disk("/var/lib/docker", (DOCKER_DATA,), 1 << 40, free, 0, 0),)
    monkeypatch.setattr(collect, "read_disks", lambda folders: full)
    assert [item.container for item in collect_facts(sources).stopped] == named
    assert {item.user for item in collect_facts(sources).stopped} <= {"bob"}


def test_unwritable_directory_is_detected(tmp_path: Path) -> None:
    assert machine_facts.why_unwritable(tmp_path) is None and machine_facts.why_unwritable(tmp_path / "absent") is None
    if os.geteuid() != 0:
        tmp_path.chmod(0o555)
        assert machine_facts.why_unwritable(tmp_path) == "its mode does not let this user write"
    assert machine_facts.why_unwritable(Path("/proc/self")) is not None


def test_what_a_pass_could_not_judge_is_read_from_its_record(tmp_path: Path) -> None:
    report = TickReport(NOON)
    report.unknown = [
        ReportItem("a._.1", "activity", "its CPU time cannot be read"),
        ReportItem("b._.1", BUSY, "at work"),
    ]
    (tmp_path / "tick.json").write_text(json.dumps(tick_document(report, {})))
    assert machine_facts.read_last_tick(tmp_path / "tick.json").not_judged == ("a._.1: its CPU time cannot be read",)


def test_containers_that_cannot_be_inspected_are_found(harness: Harness, sources: FactSources) -> None:
    harness.engine.add_foreign("foreign")
    harness.engine.add_foreign("foreign-and-stopped", running=False)
    for name in (harness.full("alice"), "foreign", "foreign-and-stopped"):
        harness.engine.break_container(name)
    facts = collect_facts(sources)
    assert {(item.container, item.ours, item.runs) for item in facts.broken} == {
        (harness.full("alice"), True, True),
        ("foreign", False, True),
    }
    assert facts.blockers == {} and facts.engine_problem is None


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"errors": ' * 50_000, "1e999", '{"started_at": 1e300}', "9" * 5000]
)
def test_unparsable_tick_report_is_a_finding(tmp_path: Path, content: str) -> None:
    for name in ("tick.json", "gpu-state.json"):
        (tmp_path / name).write_text(content)
    assert machine_facts.read_last_tick(tmp_path / "tick.json").problem is not None
    assert machine_facts.read_gpu_state(tmp_path / "gpu-state.json").problem is not None


def test_members_of_the_group_docker_are_known_in_every_spelling(
    harness: Harness, sources: FactSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (harness.state / "passwd").open("a") as file:
        file.write(f"ALICE@uni.example:x:70001:70001::{harness.home('alice')}:/bin/sh\n")
    group = UnixGroup("docker", 999, frozenset({"ALICE@uni.example", "boss"}))
    monkeypatch.setattr(collect, "find_unix_group", lambda name: group)
    seen = collect_facts(replace(sources, users=Users(harness.state / "passwd"))).docker_group
    assert seen is not None and seen.members == {"alice", "boss"}
