"""A user database that does not answer changes nobody's limits: the tick leaves alone whom it cannot judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ds01.automation.report import Report
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import InvalidState
from ds01.host import apply, welcome
from ds01.host.slicing import bring_slices
from ds01.host.systemd import Systemd
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.ownership import is_ours
from tests.bed import Bed
from tests.directory import Directory, connect
from tests.ticking import Ticking, acted, warned

POLICY = """\
defaults: {max_mig_instances: 2, idle_timeout: 1h, gpu_hold_after_stop: 1h, container_hold_after_stop: 2h,
           aggregate: {max_tasks: 512}}
default_group: students
groups:
  students: {members: []}
  researchers: {members: [], unix_groups: [research], idle_timeout: 100h, gpu_hold_after_stop: 72h,
                container_hold_after_stop: null, aggregate: {max_tasks: 16384}}
"""
ALICE, BOB = "thesis._.70001", "thesis._.70002"


@pytest.fixture
def directory(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Directory:
    """Alice is a researcher by the directory; bob, a student, is not in it."""
    directory = connect(bed, monkeypatch, {"research": {"alice"}})
    bed.set_policy(POLICY)
    return directory


@pytest.fixture
def lab(bed: Bed, directory: Directory) -> Ticking:
    return Ticking(bed)


def holds(lab: Ticking, login: str) -> None:
    """Somebody's container is stopped and holds its GPU."""
    lab.runs(login)
    lab.bed.gate.stop(lab.bed.actor(login), lab.bed.full(login))


SILENCES = {
    "nobody is found": {"people": True, "groups": False},
    "groups are missing": {"people": False, "groups": True},
    "it is down": {"people": True, "groups": True},
}


@pytest.mark.parametrize("silence", SILENCES)
def test_a_hold_and_a_running_container_outlast_a_silent_database(
    lab: Ticking, directory: Directory, silence: str
) -> None:
    bed = lab.bed
    holds(lab, "alice")
    lab.runs("alice", "other", workspace=str(bed.home("alice") / "workspace" / "thesis"))
    directory.silence(**SILENCES[silence])
    for _ in range(4):
        report = lab.any_tick(hours=3)
        assert (acted(report), warned(report)) == ([], [])
        assert not report.complete
        assert {item.container for item in report.unknown if item.action == "owner"} >= {ALICE, "other._.70001"}
    assert (lab.state("alice"), lab.state("alice", "other")) == ("held", "running")
    directory.answer()
    assert lab.tick(minutes=5).complete
    assert lab.state("alice") == "held"


def test_others_are_judged_meanwhile(lab: Ticking, directory: Directory) -> None:
    holds(lab, "alice")
    holds(lab, "bob")
    directory.silence(groups=False)
    assert acted(lab.any_tick(minutes=90)) == [("thesis", "release")]
    assert (lab.state("alice"), lab.state("bob")) == ("held", "stopped")


def test_a_stop_behind_ds01_in_a_silence_keeps_the_hold_of_the_owners_group(lab: Ticking, directory: Directory) -> None:
    bed = lab.bed
    bed.set_policy(POLICY.replace("gpu_hold_after_stop: 1h", "gpu_hold_after_stop: 0s"))
    lab.runs("alice")
    for silence in SILENCES.values():
        directory.silence(**silence)
        bed.engine.kill(ALICE)
        lab.any_tick(minutes=5)
        assert lab.state("alice") == "held"
        directory.answer()
        bed.gate.start(bed.actor("alice"), ALICE)


def test_whoever_joined_a_group_after_the_create_is_not_judged_by_the_old_one(
    lab: Ticking, directory: Directory
) -> None:
    directory.members["research"] = set()
    lab.runs("alice")
    assert lab.bed.record("alice").group == "students"
    directory.members["research"] = {"alice"}
    lab.tick(minutes=5)
    directory.silence(people=False)
    for _ in range(3):
        lab.any_tick(hours=5)
    assert lab.state("alice") == "running"


def test_a_unix_group_that_never_existed_stops_nothing_from_being_judged(lab: Ticking) -> None:
    lab.bed.set_policy(POLICY.replace("[research]", "[reserch]"))
    holds(lab, "bob")
    assert acted(lab.tick(minutes=90)) == [("thesis", "release")]


def test_the_first_tick_of_all_may_fall_into_a_silence(lab: Ticking, directory: Directory) -> None:
    bed = lab.bed
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    bed.gate.start(bed.actor("alice"), ALICE)
    bed.gate.stop(bed.actor("alice"), ALICE)
    directory.silence(people=False)
    for _ in range(3):
        assert not lab.any_tick(hours=3).complete
    assert lab.state("alice") == "held"


def test_whoever_left_a_group_is_judged_by_the_new_one(lab: Ticking, directory: Directory) -> None:
    """Also where the policy names another Unix group that does not exist."""
    lab.bed.set_policy(POLICY.replace("[research]", "[research, reserch]"))
    lab.tick(minutes=5)
    holds(lab, "alice")
    directory.members["research"] = set()
    assert warned(lab.tick(minutes=90)) == [("thesis", "hold")]  # it was promised for longer
    assert acted(lab.tick(minutes=5)) == [("thesis", "release")]


def test_a_deleted_owner_is_judged_by_the_group_in_the_record_after_a_day(lab: Ticking, directory: Directory) -> None:
    holds(lab, "alice")
    directory.silence(groups=False)
    lab.any_tick(minutes=5)
    lab.any_tick(hours=23)
    assert not lab.any_tick(minutes=50).complete
    assert lab.tick(minutes=20).complete
    assert lab.state("alice") == "held"  # 72h, as researchers have
    assert acted(lab.tick(hours=49)) == [("thesis", "release")]


def test_a_container_whose_owner_is_not_found_stays_ours(lab: Ticking, directory: Directory) -> None:
    lab.runs("alice")
    directory.silence()
    context = lab.bed.make_context()
    assert [is_ours(context, container) for container in context.observer.containers()] == [True]


def test_nobody_loses_a_hold_to_a_waiter_in_a_silence(lab: Ticking, directory: Directory) -> None:
    from ds01.records.line import Waiter

    bed = lab.bed
    bed.set_policy(POLICY.replace("defaults: {", "reclaim_held: true\ndefaults: {priority: 10, ").replace(
        "students: {members: []}", "students: {members: [], priority: 50}"))  # fmt: skip
    for name in ("a", "b"):
        folder = bed.home("carol") / "workspace" / "thesis"
        bed.gate.create(bed.actor("carol"), bed.request("carol", name, workspace=str(folder)))
    holds(lab, "alice")
    bed.gate.create(bed.actor("bob"), bed.request("bob"))
    directory.silence()
    request = bed.request("bob", "new", 1)
    waiter = Waiter("", "bob", bed.people["bob"], 50, bed.clock(), bed.full("bob", "new"), request)
    with bed.ledger.line().join(waiter):
        lab.any_tick(minutes=1)
        assert lab.state("alice") == "held"
        directory.answer()
        assert acted(lab.tick(minutes=1)) == [("thesis", "release")]


class Machine:
    """A systemd that remembers which slices it was told to change."""

    def __init__(self, shown: str = "") -> None:
        self.told: list[str] = []

    def __call__(self, arguments: Sequence[str]) -> str:
        if arguments[1] == "show":
            return ""
        self.told.append(arguments[3])
        return ""


@pytest.mark.parametrize("silence", SILENCES)
def test_no_slice_of_theirs_gets_other_limits(
    lab: Ticking, directory: Directory, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = lab.bed
    holds(lab, "alice")
    holds(lab, "bob")
    monkeypatch.setattr(apply, "is_running", lambda: True)
    facts = replace(bed.engine.info(), cgroup_driver="systemd")
    monkeypatch.setattr(SimulatedEngine, "info", lambda engine: facts)

    def told(context: Context) -> list[str]:
        machine = Machine()
        bring_slices(context, bed.records(), Report(bed.clock()), systemd=Systemd(machine, control=bed.root))
        return machine.told

    assert told(bed.make_context()) == ["ds01-researchers-alice.slice", "ds01-students-bob.slice"]
    directory.silence(**SILENCES[silence])
    assert told(bed.make_context()) == ["ds01-students-bob.slice"]


def test_doctor_says_whom_it_concerns(lab: Ticking, directory: Directory) -> None:
    from ds01.host.checks.look import user_database_doubts

    holds(lab, "alice")
    lab.tick(minutes=5)
    directory.silence()
    context = lab.bed.make_context()
    groups, people = user_database_doubts(context.rules.owners, lab.bed.records(), lab.bed.clock())
    assert groups == "the user database does not have the Unix group research any more"
    assert people.startswith(f"{ALICE}: the user database does not know its owner alice (uid 70001)")


def test_a_member_in_another_spelling_stays_one_while_the_directory_is_silent(bed: Bed) -> None:
    passwd = bed.state / "passwd"
    alone = passwd.read_text()
    passwd.write_text(alone + f"ALICE@uni.example:x:70001:70001::{bed.home('alice')}:/bin/sh\n")
    bed.set_policy(POLICY.replace("{members: [], unix_groups: [research]", "{members: [ALICE@uni.example]"))
    lab = Ticking(bed)
    holds(lab, "alice")
    assert bed.record("alice").group == "researchers"
    passwd.write_text(alone)
    for _ in range(3):
        report = lab.any_tick(hours=3)
        assert acted(report) == []
        assert {item.container for item in report.unknown} == {ALICE}
    assert lab.state("alice") == "held"


SPELLED = {
    "an override": "user_overrides: {ALICE@uni.example: {max_runtime: null, gpu_hold_after_stop: 100h, "
    "container_hold_after_stop: null}}\n",
    "an exemption": "exemptions: [{user: ALICE@uni.example, from: [max_runtime, gpu_hold_after_stop, "
    "container_hold_after_stop], reason: thesis}]\n",
}


@pytest.mark.parametrize("known_by_uid", [True, False])
@pytest.mark.parametrize("state", ["running", "held"])
@pytest.mark.parametrize("spelled", SPELLED)
def test_what_somebody_has_in_another_spelling_stays_while_the_directory_is_silent(
    bed: Bed, spelled: str, state: str, known_by_uid: bool
) -> None:
    passwd = bed.state / "passwd"
    alone = passwd.read_text()
    passwd.write_text(alone + f"ALICE@uni.example:x:70001:70001::{bed.home('alice')}:/bin/sh\n")
    bed.set_policy(POLICY.replace("idle_timeout: 1h", "max_runtime: 2h", 1) + SPELLED[spelled])
    lab = Ticking(bed)
    lab.runs("alice")
    if state == "held":
        bed.gate.stop(bed.actor("alice"), ALICE)
    passwd.write_text(alone if known_by_uid else alone.replace("alice:x:", "nobody-else:x:").replace("70001", "70077"))
    for _ in range(12):
        report = lab.any_tick(hours=3)
        assert acted(report) == []
        assert warned(report) == []
        assert {item.container for item in report.unknown if item.action == "owner"} <= {ALICE}
    assert lab.state("alice") == state


def test_a_spelling_that_the_policy_no_longer_has_keeps_nobody_from_being_judged(bed: Bed) -> None:
    passwd = bed.state / "passwd"
    alone = passwd.read_text()
    passwd.write_text(alone + f"ALICE@uni.example:x:70001:70001::{bed.home('alice')}:/bin/sh\n")
    bed.set_policy(POLICY + SPELLED["an override"])
    lab = Ticking(bed)
    lab.runs("alice")
    passwd.write_text(alone)
    assert lab.any_tick(minutes=10).unknown != []
    bed.set_policy(POLICY)
    lab.works(0)
    assert [item for item in lab.any_tick(minutes=10).unknown if item.action == "owner"] == []


def test_a_new_user_gets_the_slice_of_the_unix_group(
    bed: Bed, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "obstacle", lambda driver: InvalidState("no systemd here", why="a test"))
    step = welcome.ensure_slice(bed.context.users.by_uid(70001), bed.context)
    assert "ds01-researchers-alice.slice" in step.what
