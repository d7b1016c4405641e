"""A user database that does not answer changes nobody's limits: the tick does not act on uncertain owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ds01.automation.report import TickReport
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import InvalidState
from ds01.host import slice_limits, user_setup
from ds01.host.slice_updates import update_slices
from ds01.host.systemd import Systemd
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.ownership import is_ours
from tests.harness import Harness
from tests.tick_harness import TickHarness, actions_of, warnings_of
from tests.user_directory import UserDirectory, connect_user_directory

POLICY = """\
defaults: {max_mig_instances: 2, idle_timeout: 1h, gpu_hold_after_stop: 1h, container_hold_after_stop: 2h,
           aggregate: {max_tasks: 512}}
default_group: students
groups:
  students: {members: []}
  researchers: {members: [], unix_groups: [research], idle_timeout: 100h, gpu_hold_after_stop: 72h,
                container_hold_after_stop: null, aggregate: {max_tasks: 16384}}
"""
ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


@pytest.fixture
def directory(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> UserDirectory:
    """Alice is a researcher by the directory; bob, a student, is not in it."""
    directory = connect_user_directory(harness, monkeypatch, {"research": {"alice"}})
    harness.set_policy(POLICY)
    return directory


@pytest.fixture
def lab(harness: Harness, directory: UserDirectory) -> TickHarness:
    return TickHarness(harness)


def holds(lab: TickHarness, login: str) -> None:
    """Somebody's container is stopped and holds its GPU."""
    lab.start_container(login)
    lab.harness.gate.stop(lab.harness.actor(login), lab.harness.full(login))


SILENCES = {
    "nobody is found": {"people": True, "groups": False},
    "groups are missing": {"people": False, "groups": True},
    "it is down": {"people": True, "groups": True},
}


@pytest.mark.parametrize("silence", SILENCES)
def test_silent_user_database_ends_nothing(lab: TickHarness, directory: UserDirectory, silence: str) -> None:
    harness = lab.harness
    holds(lab, "alice")
    lab.start_container("alice", "other", workspace=str(harness.home("alice") / "workspace" / "thesis"))
    directory.silence(**SILENCES[silence])
    for _ in range(4):
        report = lab.run_tick(hours=3)
        assert (actions_of(report), warnings_of(report)) == ([], [])
        assert not report.complete
        assert {item.container for item in report.unknown if item.action == "owner"} >= {ALICE_THESIS, "other._.70001"}
    assert (lab.state("alice"), lab.state("alice", "other")) == ("held", "running")
    directory.answer()
    assert lab.tick(minutes=5).complete
    assert lab.state("alice") == "held"


def test_others_are_judged_meanwhile(lab: TickHarness, directory: UserDirectory) -> None:
    holds(lab, "alice")
    holds(lab, "bob")
    directory.silence(groups=False)
    assert actions_of(lab.run_tick(minutes=90)) == [("thesis", "release")]
    assert (lab.state("alice"), lab.state("bob")) == ("held", "stopped")


def test_outside_stop_during_a_silence_keeps_the_groups_hold(lab: TickHarness, directory: UserDirectory) -> None:
    harness = lab.harness
    harness.set_policy(POLICY.replace("gpu_hold_after_stop: 1h", "gpu_hold_after_stop: 0s"))
    lab.start_container("alice")
    for silence in SILENCES.values():
        directory.silence(**silence)
        harness.engine.kill(ALICE_THESIS)
        lab.run_tick(minutes=5)
        assert lab.state("alice") == "held"
        directory.answer()
        harness.gate.start(harness.actor("alice"), ALICE_THESIS)


def test_later_group_membership_counts(lab: TickHarness, directory: UserDirectory) -> None:
    directory.members["research"] = set()
    lab.start_container("alice")
    assert lab.harness.record("alice").group == "students"
    directory.members["research"] = {"alice"}
    lab.tick(minutes=5)
    directory.silence(people=False)
    for _ in range(3):
        lab.run_tick(hours=5)
    assert lab.state("alice") == "running"


def test_nonexistent_unix_group_blocks_nobody(lab: TickHarness) -> None:
    lab.harness.set_policy(POLICY.replace("[research]", "[reserch]"))
    holds(lab, "bob")
    assert actions_of(lab.tick(minutes=90)) == [("thesis", "release")]


def test_the_first_tick_of_all_may_fall_into_a_silence(lab: TickHarness, directory: UserDirectory) -> None:
    harness = lab.harness
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    directory.silence(people=False)
    for _ in range(3):
        assert not lab.run_tick(hours=3).complete
    assert lab.state("alice") == "held"


def test_whoever_left_a_group_is_judged_by_the_new_one(lab: TickHarness, directory: UserDirectory) -> None:
    """Also where the policy names another Unix group that does not exist."""
    lab.harness.set_policy(POLICY.replace("[research]", "[research, reserch]"))
    lab.tick(minutes=5)
    holds(lab, "alice")
    directory.members["research"] = set()
    assert warnings_of(lab.tick(minutes=90)) == [("thesis", "hold")]  # it was promised for longer
    assert actions_of(lab.tick(minutes=5)) == [("thesis", "release")]


def test_deleted_owner_has_the_records_group_after_a_day(lab: TickHarness, directory: UserDirectory) -> None:
    holds(lab, "alice")
    directory.silence(groups=False)
    lab.run_tick(minutes=5)
    lab.run_tick(hours=23)
    assert not lab.run_tick(minutes=50).complete
    assert lab.tick(minutes=20).complete
    assert lab.state("alice") == "held"  # 72h, as researchers have
    assert actions_of(lab.tick(hours=49)) == [("thesis", "release")]


def test_a_container_whose_owner_is_not_found_stays_ours(lab: TickHarness, directory: UserDirectory) -> None:
    lab.start_container("alice")
    directory.silence()
    context = lab.harness.make_context()
    assert [is_ours(context, container) for container in context.observer.containers()] == [True]


def test_no_hold_is_reclaimed_without_user_database(lab: TickHarness, directory: UserDirectory) -> None:
    from ds01.records.wait_queue import Waiter

    harness = lab.harness
    harness.set_policy(POLICY.replace("defaults: {", "reclaim_held: true\ndefaults: {priority: 10, ").replace(
        "students: {members: []}", "students: {members: [], priority: 50}"))  # fmt: skip
    for name in ("a", "b"):
        folder = harness.home("carol") / "workspace" / "thesis"
        harness.gate.create(harness.actor("carol"), harness.request("carol", name, workspace=str(folder)))
    holds(lab, "alice")
    harness.gate.create(harness.actor("bob"), harness.request("bob"))
    directory.silence()
    request = harness.request("bob", "new", 1)
    waiter = Waiter("", "bob", harness.people["bob"], 50, harness.clock(), harness.full("bob", "new"), request)
    with harness.ledger.wait_queue().join(waiter):
        lab.run_tick(minutes=1)
        assert lab.state("alice") == "held"
        directory.answer()
        assert actions_of(lab.tick(minutes=1)) == [("thesis", "release")]


class Machine:
    """A systemd that records which slices it was told to change."""

    def __init__(self, shown: str = "") -> None:
        self.told: list[str] = []

    def __call__(self, arguments: Sequence[str]) -> str:
        if arguments[1] == "show":
            return ""
        self.told.append(arguments[3])
        return ""


@pytest.mark.parametrize("silence", SILENCES)
def test_no_slice_of_theirs_gets_other_limits(
    lab: TickHarness, directory: UserDirectory, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = lab.harness
    holds(lab, "alice")
    holds(lab, "bob")
    monkeypatch.setattr(slice_limits, "is_running", lambda: True)
    facts = replace(harness.engine.info(), cgroup_driver="systemd")
    monkeypatch.setattr(SimulatedEngine, "info", lambda engine: facts)

    def told(context: Context) -> list[str]:
        machine = Machine()
        update_slices(
            context, harness.records(), TickReport(harness.clock()), systemd=Systemd(machine, control=harness.root)
        )
        return machine.told

    assert told(harness.make_context()) == ["ds01-researchers-alice.slice", "ds01-students-bob.slice"]
    directory.silence(**SILENCES[silence])
    assert told(harness.make_context()) == ["ds01-students-bob.slice"]


def test_doctor_says_whom_it_concerns(lab: TickHarness, directory: UserDirectory) -> None:
    from ds01.host.checks.collect import describe_user_database_doubts

    holds(lab, "alice")
    lab.tick(minutes=5)
    directory.silence()
    context = lab.harness.make_context()
    groups, people = describe_user_database_doubts(context.rules.owners, lab.harness.records(), lab.harness.clock())
    assert groups == "the user database no longer has the Unix group research"
    assert people.startswith(f"{ALICE_THESIS}: the user database does not know the owner alice (uid 70001)")


def test_member_by_spelling_stays_one_during_a_silence(harness: Harness) -> None:
    passwd = harness.state / "passwd"
    alone = passwd.read_text()
    passwd.write_text(alone + f"ALICE@uni.example:x:70001:70001::{harness.home('alice')}:/bin/sh\n")
    harness.set_policy(POLICY.replace("{members: [], unix_groups: [research]", "{members: [ALICE@uni.example]"))
    lab = TickHarness(harness)
    holds(lab, "alice")
    assert harness.record("alice").group == "researchers"
    passwd.write_text(alone)
    for _ in range(3):
        report = lab.run_tick(hours=3)
        assert actions_of(report) == []
        assert {item.container for item in report.unknown} == {ALICE_THESIS}
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
def test_override_by_spelling_stays_during_a_silence(
    harness: Harness, spelled: str, state: str, known_by_uid: bool
) -> None:
    passwd = harness.state / "passwd"
    alone = passwd.read_text()
    passwd.write_text(alone + f"ALICE@uni.example:x:70001:70001::{harness.home('alice')}:/bin/sh\n")
    harness.set_policy(POLICY.replace("idle_timeout: 1h", "max_runtime: 2h", 1) + SPELLED[spelled])
    lab = TickHarness(harness)
    lab.start_container("alice")
    if state == "held":
        harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    passwd.write_text(alone if known_by_uid else alone.replace("alice:x:", "nobody-else:x:").replace("70001", "70077"))
    for _ in range(12):
        report = lab.run_tick(hours=3)
        assert actions_of(report) == []
        assert warnings_of(report) == []
        assert {item.container for item in report.unknown if item.action == "owner"} <= {ALICE_THESIS}
    assert lab.state("alice") == state


def test_spelling_dropped_from_the_policy_blocks_nobody(harness: Harness) -> None:
    passwd = harness.state / "passwd"
    alone = passwd.read_text()
    passwd.write_text(alone + f"ALICE@uni.example:x:70001:70001::{harness.home('alice')}:/bin/sh\n")
    harness.set_policy(POLICY + SPELLED["an override"])
    lab = TickHarness(harness)
    lab.start_container("alice")
    passwd.write_text(alone)
    assert lab.run_tick(minutes=10).unknown != []
    harness.set_policy(POLICY)
    lab.set_cpu_time(0)
    assert [item for item in lab.run_tick(minutes=10).unknown if item.action == "owner"] == []


def test_a_new_user_gets_the_slice_of_the_unix_group(
    harness: Harness, directory: UserDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slice_limits, "find_obstacle", lambda driver: InvalidState("no systemd here", why="a test"))
    step = user_setup.ensure_slice(harness.context.users.by_uid(70001), harness.context)
    assert "ds01-researchers-alice.slice" in step.what
