"""What doctor gathers: each source seen for itself, and what cannot be observed left unknown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ds01.automation.report import BUSY, Item, Report, to_keep
from ds01.engines.protocol import Devices, EngineInfo
from ds01.errors import Ds01Error, EngineUnreachable, GpusUnreachable, PolicyUnreadable
from ds01.host import machine
from ds01.host.checks import gpus as check_gpus
from ds01.host.checks import look as looking
from ds01.host.checks import records as check_records
from ds01.host.checks.facts import DOCKERS, Disk, Facts
from ds01.host.checks.look import Sources, look
from ds01.host.machine import Roots
from ds01.host.people import UnixGroup
from ds01.system.settings import Settings
from ds01.system.users import Users
from tests.bed import NOON, Bed


def failing(error: Ds01Error) -> Callable[[], Any]:
    def ask() -> Any:
        raise error

    return ask


@pytest.fixture
def sources(bed: Bed) -> Sources:
    """A server in the bed's folder: one container of alice's on a GPU, and a machine that has nothing."""
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    bed.gate.start(bed.actor("alice"), bed.full("alice"))
    roots = Roots(*(bed.root / name for name in ("dev", "proc", "sys", "cron", "docker")))
    return Sources(
        settings=Settings(state=bed.state, log=bed.root / "log", sandbox=True),
        users=bed.context.users,
        now=bed.clock(),
        policy=lambda: bed.policy,
        ledger=bed.open_ledger,
        inventory=lambda: bed.inventory,
        engine=bed.engine.info,
        context=lambda: bed.context,
        roots=roots,
    )


def as_docker(bed: Bed, root_dir: Path) -> EngineInfo:
    return replace(bed.engine.info(), name="docker", root_dir=str(root_dir))


def test_everything_that_can_be_is_observed(bed: Bed, sources: Sources) -> None:
    facts = look(sources)
    assert [record.container_name for record in facts.records] == [bed.full("alice")]
    assert [container.name for container in facts.containers or ()] == [bed.full("alice")]
    assert facts.ours == {container.id for container in facts.containers or ()}
    assert facts.blockers == {}
    assert facts.observation is not None and facts.engine is not None and facts.policy is bed.policy
    assert facts.picture.shown and facts.ledger
    assert {account.login for account in facts.people.known} == {"alice", "boss"}
    assert facts.busy == frozenset()


def test_use_from_outside_is_seen(bed: Bed, sources: Sources) -> None:
    bed.engine.add_foreign("others", devices=Devices(everything=True, form="device_request"))
    facts = look(sources)
    assert facts.blockers and {blocker.who for blocker in facts.blockers.values()} == {"others"}
    assert len(facts.containers or ()) == 2 and len(facts.ours) == 1


def test_what_a_command_is_at_work_on_is_busy(bed: Bed, sources: Sources) -> None:
    with bed.open_ledger().container_lock(bed.full("alice"), doing="being looked at"):
        assert look(sources).busy == {bed.full("alice")}


def test_a_container_on_the_gpu_of_another_is_a_conflict_and_no_use_from_outside(bed: Bed, sources: Sources) -> None:
    bed.gate.stop(bed.actor("alice"), bed.full("alice"), release=True)
    for login, gpus in (("bob", 2), ("carol", 1)):  # all instances
        bed.gate.create(bed.actor(login), bed.request(login, gpus=gpus))
    bed.engine.start(bed.full("alice"))
    bed.gate.reconcile(bed.actor("root"))
    facts = look(sources)
    assert facts.blockers, "whoever asks for the GPU is told of the container"
    checks = (check_records.leases, check_gpus.outside)
    assert [finding.check for check in checks for finding in check(facts)] == ["conflicts"]


def unknown(facts: Facts, *names: str) -> None:
    """These, and none of the others, were not observed; each with its problem."""
    fields = ("policy", "ledger", "engine", "containers", "observation", "blockers")
    assert {name for name in fields if getattr(facts, name) is None} == set(names)


def test_without_a_policy_containers_are_unknown_and_not_gone(sources: Sources) -> None:
    problem = PolicyUnreadable("The policy has 1 error.")
    facts = look(replace(sources, policy=failing(problem), context=failing(problem)))
    unknown(facts, "policy", "containers", "blockers")
    assert facts.policy_problem is problem and facts.records


def test_without_an_engine_containers_are_unknown(sources: Sources) -> None:
    problem = EngineUnreachable("Docker is not running")
    facts = look(replace(sources, engine=failing(problem)))
    unknown(facts, "engine", "containers", "blockers")
    assert facts.engine_problem is problem


def test_the_containers_of_another_engine_prove_nothing(bed: Bed, sources: Sources) -> None:
    (bed.state / "engine").write_text("of last time\n")
    facts = look(sources)
    unknown(facts, "engine", "containers", "blockers")
    assert isinstance(facts.engine_problem, EngineUnreachable)


def test_without_gpus_use_of_them_is_unknown(sources: Sources) -> None:
    problem = GpusUnreachable("The GPUs cannot be asked.")
    facts = look(replace(sources, inventory=failing(problem)))
    unknown(facts, "observation", "blockers")
    assert facts.gpus_problem is problem


def test_without_a_ledger_there_are_no_records(sources: Sources) -> None:
    problem = Ds01Error("no state folder")
    facts = look(replace(sources, ledger=failing(problem), context=failing(problem)))
    unknown(facts, "ledger", "containers", "blockers")
    assert facts.ledger_problem is problem and facts.records == ()


# the machine


def test_of_the_machine_nothing_is_looked_at_from_a_state_of_ones_own(bed: Bed, sources: Sources) -> None:
    (bed.root / "cron").write_text("x")
    facts = look(sources)
    assert (facts.entries, facts.cron, facts.program, facts.links, facts.slices) == ((), None, None, (), ())
    server = look(replace(sources, settings=replace(sources.settings, sandbox=False)))
    assert server.cron is not None and server.cron.text == "x"
    assert {entry.path for entry in server.entries} >= {str(bed.state), str(bed.root / "log")}


def test_slices_are_compared_on_a_server_with_docker(
    bed: Bed, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(looking.apply, "plan", lambda *_, driver, **more: asked.append(driver) or ["a change"])
    docker = replace(as_docker(bed, bed.root), cgroup_driver="systemd")
    server = replace(sources, engine=lambda: docker, settings=replace(sources.settings, sandbox=False))
    assert look(server).slices == ("a change",)
    assert look(replace(sources, engine=lambda: docker)).slices == (), "the machine's, in a state of one's own"
    assert asked == ["systemd"]


def held(facts: Facts) -> set[str]:
    return {what for disk in facts.disks or () for what in disk.holds}


def test_dockers_disk_is_where_docker_says(bed: Bed, sources: Sources) -> None:
    facts = look(replace(sources, engine=lambda: as_docker(bed, Path("/proc"))))
    assert [(disk.path, disk.holds) for disk in facts.disks or ()][-1] == ("/proc", (DOCKERS,))
    assert DOCKERS not in held(look(replace(sources, engine=lambda: as_docker(bed, bed.root / "gone"))))


def test_a_docker_that_does_not_answer_has_its_data_in_the_usual_place(bed: Bed, sources: Sources) -> None:
    silent = replace(sources, engine=failing(EngineUnreachable("Docker is not running")))
    assert DOCKERS not in held(look(silent))
    (bed.root / "docker").mkdir()
    assert DOCKERS in held(look(silent))


def test_a_simulated_engine_has_no_disk(bed: Bed, sources: Sources) -> None:
    (bed.root / "docker").mkdir()
    assert held(look(sources)) == {"ds01's state"}


@pytest.mark.parametrize(("free", "named"), [(1 << 20, ["old._.70002"]), (1 << 39, [])])
def test_stopped_containers_are_weighed_when_dockers_disk_is_nearly_full(
    bed: Bed, sources: Sources, monkeypatch: pytest.MonkeyPatch, free: int, named: list[str]
) -> None:
    bed.gate.create(bed.actor("bob"), bed.request("bob", "old"))
    bed.engine.add_foreign("others", running=False)
    full = (Disk("/var/lib/docker", (DOCKERS,), 1 << 40, free, 0, 0),)
    monkeypatch.setattr(looking.machine, "disks", lambda folders: full)
    assert [item.container for item in look(sources).stopped] == named
    assert {item.user for item in look(sources).stopped} <= {"bob"}


def test_a_folder_that_cannot_be_written_is_told_from_one_that_can(tmp_path: Path) -> None:
    assert machine.unwritable(tmp_path) is None and machine.unwritable(tmp_path / "absent") is None
    if os.geteuid() != 0:
        tmp_path.chmod(0o555)
        assert machine.unwritable(tmp_path) == "its mode does not let this user write"
    assert machine.unwritable(Path("/proc/self")) is not None


def test_what_a_pass_could_not_judge_is_read_from_its_record(tmp_path: Path) -> None:
    report = Report(NOON)
    report.unknown = [Item("a._.1", "activity", "its CPU time cannot be read"), Item("b._.1", BUSY, "at work")]
    (tmp_path / "tick.json").write_text(json.dumps(to_keep(report, {})))
    assert machine.tick(tmp_path / "tick.json").not_judged == ("a._.1: its CPU time cannot be read",)


def test_containers_that_cannot_be_inspected_are_found(bed: Bed, sources: Sources) -> None:
    bed.engine.add_foreign("foreign")
    bed.engine.add_foreign("foreign-and-stopped", running=False)
    for name in (bed.full("alice"), "foreign", "foreign-and-stopped"):
        bed.engine.break_container(name)
    facts = look(sources)
    assert {(item.container, item.ours, item.runs) for item in facts.broken} == {
        (bed.full("alice"), True, True),
        ("foreign", False, True),
    }
    assert facts.blockers == {} and facts.engine_problem is None


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"errors": ' * 50_000, "1e999", '{"started_at": 1e300}', "9" * 5000]
)
def test_a_tick_record_that_no_parser_takes_is_a_problem_and_no_failure(tmp_path: Path, content: str) -> None:
    for name in ("tick.json", "gpu-state.json"):
        (tmp_path / name).write_text(content)
    assert machine.tick(tmp_path / "tick.json").problem is not None
    assert machine.picture(tmp_path / "gpu-state.json").problem is not None


def test_members_of_the_group_docker_are_known_in_every_spelling(
    bed: Bed, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (bed.state / "passwd").open("a") as file:
        file.write(f"ALICE@uni.example:x:70001:70001::{bed.home('alice')}:/bin/sh\n")
    group = UnixGroup("docker", 999, frozenset({"ALICE@uni.example", "boss"}))
    monkeypatch.setattr(looking, "unix_group_of", lambda name: group)
    seen = look(replace(sources, users=Users(bed.state / "passwd"))).docker_group
    assert seen is not None and seen.members == {"alice", "boss"}
