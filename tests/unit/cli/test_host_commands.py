"""The commands for administrators."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest

from ds01 import main
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import EngineRejected
from ds01.host import user_setup
from ds01.records.ledger import Ledger, Transaction
from ds01.records.state_machine import State, Trigger
from ds01.system.data import format_time
from tests.command_line import CommandLine
from tests.harness import POLICY, Harness


def running(ds: CommandLine, *names: str) -> None:
    for name in names:
        ds.ok("container-deploy", name, "debian", "--cpu-only", "--background")


def ticked(ds: CommandLine) -> None:
    started = format_time(ds.harness.clock() - timedelta(minutes=1))
    (ds.harness.state / "tick.json").write_text(f'{{"started_at": "{started}", "errors": []}}')


def findings(ds: CommandLine, *options: str, who: str | None = None) -> dict[str, tuple[str, bool, bool]]:
    document = ds("doctor", "--json", *options, who=who).json
    bad = [item for item in document["findings"] if item["level"] != "ok"]
    return {item["check"]: (item["level"], item["fixable"], item["fixed"]) for item in bad}


def events(ds: CommandLine, kind: str) -> list[dict[str, Any]]:
    lines = (ds.harness.state / "log" / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == kind]


# doctor


def test_doctor_is_content_with_a_sound_state(ds: CommandLine) -> None:
    running(ds, "thesis")
    ticked(ds)
    told = ds("doctor")
    ignored = ("policy-limits", "space")  # the machine that the test runs on may be small, or full
    assert set(findings(ds)) <= set(ignored), told


def test_doctor_in_a_sandbox_does_not_check_the_machine(ds: CommandLine) -> None:
    running(ds, "thesis")
    ticked(ds)
    told = {item["check"] for item in ds("doctor", "--json").json["findings"]}
    assert told >= {"policy", "state", "records-docker", "leases", "gpu-health", "tick"}
    assert not told & {
        "people",
        "docker-group",
        "state-modes",
        "docker",
        "docker-setup",
        "slices",
        "cron",
        "cron-daemon",
        "links",
    }


def test_doctor_finds_and_fixes_records(ds: CommandLine) -> None:
    running(ds, "stopped", "broken")
    ticked(ds)
    ds.engine.kill(ds.harness.full("alice", "stopped"))
    ds.harness.record_file("alice", "broken").write_text("{")
    found = findings(ds)
    assert found["records-docker"] == ("warning", True, False)
    assert found["records-unreadable"] == ("error", True, False)
    assert ds("doctor").code == 2
    assert ds.harness.record_file("alice", "broken").read_text() == "{", "without --fix nothing is changed"
    mended = findings(ds, "--fix", who="root")
    assert mended["records-docker"] == ("warning", True, True)
    assert mended["records-unreadable"] == ("error", True, True)
    assert not {"records-docker", "records-unreadable"} & set(findings(ds))
    assert {record.name: record.state for record in ds.harness.records()}["broken"] is State.RUNNING


@pytest.mark.parametrize("content", ["{", '{"allocations": {}, "last_updated": "2026-11-30T12:00:00Z"}'])
def test_doctor_finds_and_fixes_a_drifted_gpu_state(ds: CommandLine, content: str) -> None:
    ds.ok("container-deploy", "thesis", "debian", "--background")
    ticked(ds)
    path = ds.harness.state / "gpu-state.json"
    path.write_text(content)
    assert findings(ds)["picture"] == ("warning", True, False)
    assert path.read_text() == content, "without --fix nothing is changed"
    assert findings(ds, "--fix", who="root")["picture"] == ("warning", True, True)
    event = json.loads((ds.harness.state / "log" / "events.jsonl").read_text().splitlines()[-1])
    assert (event["type"], event["actor"], event["what"]) == ("repair", "root", "rewrote gpu-state.json")
    assert event["why"].startswith("gpu-state.json ")
    assert '"gpu_id": "1:0"' in path.read_text()
    assert "picture" not in findings(ds)


@pytest.mark.in_process("writes while the command reads")
def test_doctor_tolerates_a_commit_in_progress(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is written, the picture not yet: whoever writes has the ledger's lock."""
    ds.ok("container-deploy", "thesis", "debian", "--background")
    ticked(ds)
    path = ds.harness.state / "gpu-state.json"
    whole = path.read_text()
    path.write_text('{"allocations": {}}')
    transaction = Ledger.transaction

    def after_the_commit(ledger: Ledger) -> AbstractContextManager[Transaction]:
        path.write_text(whole)
        return transaction(ledger)

    monkeypatch.setattr(Ledger, "transaction", after_the_commit)
    assert "picture" not in findings(ds)


def test_doctor_works_without_a_policy(ds: CommandLine) -> None:
    running(ds, "thesis")
    (ds.harness.root / "resource-limits.yaml").write_text("groups: [")
    found = findings(ds)
    assert found["policy"] == ("error", False, False)
    assert "records-docker" not in found, "the containers could not be listed"
    assert "resource-limits.yaml" in ds("doctor").out


def test_doctor_works_without_an_engine(ds: CommandLine) -> None:
    running(ds, "thesis")
    ticked(ds)
    ds.engine.set_answering(False)
    found = findings(ds)
    assert found["docker"] == ("error", False, False)
    assert "records-docker" not in found, "no answer is not an answer"


@pytest.mark.parametrize("words", [("doctor", "--fix"), ("slices", "apply"), ("user", "add", "alice")])
def test_what_is_roots_is_refused_to_others(ds: CommandLine, words: tuple[str, ...]) -> None:
    ds.use_real_identity()
    assert f"`sudo ds01 {' '.join(words)}`" in ds.fails(3, *words, who="bob")


# slices, users


def test_a_sandbox_does_not_touch_the_machines_slices(ds: CommandLine) -> None:
    error = ds.error("slices", "apply", who="root")
    assert (error["exit"], error["code"], error["hint"]) == (6, "state.invalid", "`unset DS01_STATE`")


def test_user_add_makes_the_workspace_and_can_be_run_again(ds: CommandLine) -> None:
    home = ds.harness.home("bob")
    (home / "workspace" / "thesis").rmdir()
    (home / "workspace").rmdir()
    assert "done     directory" in ds.ok("user", "add", "bob", who="root")
    assert (home / "workspace").is_dir()
    assert "already  directory" in ds.ok("user", "add", "bob", who="root")
    ds.fails(5, "user", "add", "nobody-has-this", who="root")


def test_user_add_has_its_older_name(ds: CommandLine) -> None:
    ds.ok("add-user-to-docker", "bob", who="root")
    assert "add-user-to-docker" in main.program_names()


def test_a_group_is_joined_once(harness: Harness) -> None:
    account = harness.context.users.by_login("bob")
    called: list[list[str]] = []
    step = user_setup.ensure_group(account, "daemon", run=lambda words: called.append(list(words)) or "")
    assert (step.already, step.problem) == (False, None)
    assert called == [["gpasswd", "--add", "bob", "daemon"]]
    assert user_setup.needs_new_login([step])
    root = harness.context.users.by_login("root")
    assert user_setup.ensure_group(root, "root").already
    assert user_setup.ensure_group(root, "no-such-group").problem


# emergency-stop


def test_emergency_stop_stops_without_waiting_for_locks(ds: CommandLine) -> None:
    running(ds, "thesis", "other")
    ds.engine.add_foreign("foreign")
    lock = ds.harness.ledger.container_lock(ds.harness.full("alice"), doing="being started by alice")
    with lock:
        told = ds.ok("emergency-stop", "alice", "-y", who="boss")
    assert "thesis._.70001" in told and "foreign" not in told
    assert [seen.name for seen in ds.engine.containers() if seen.status.has_processes] == ["foreign"]
    # The one whose lock was held is recorded as soon as somebody looks.
    ds.ok("container-list")
    assert {record.state for record in ds.harness.records()} == {State.STOPPED}
    assert "No container is running" in ds.ok("emergency-stop", "--all", "-y", who="boss")


def test_emergency_stop_names_what_it_could_and_could_not_stop(ds: CommandLine) -> None:
    running(ds, "thesis", "other")
    ds.engine.break_container(ds.harness.full("alice"))
    answer = ds("emergency-stop", "--all", "-y", who="boss")
    assert (answer.code, answer.out) == (1, "Stopped: other._.70001\n")
    assert "not stopped: thesis._.70001" in answer.err and "RWLayer" in answer.err
    assert "docker kill thesis._.70001" in answer.err


def test_emergency_stop_finds_owners_in_the_records(ds: CommandLine) -> None:
    running(ds, "thesis")
    passwd = ds.harness.state / "passwd"
    lines = passwd.read_text().splitlines(keepends=True)
    passwd.write_text("".join(line for line in lines if not line.startswith("alice:")))
    assert "thesis._.70001" in ds.ok("emergency-stop", "alice", "-y", who="boss")
    ds.fails(5, "emergency-stop", "nobody-at-all", "-y", who="boss")


def test_emergency_stop_is_for_administrators_and_asks(ds: CommandLine) -> None:
    running(ds, "thesis")
    ds.fails(3, "emergency-stop", "--all", "-y", who="bob")
    ds.fails(2, "emergency-stop", who="boss")
    ds.fails(2, "emergency-stop", "alice", "--all", who="boss")
    assert "`-y` confirms it" in ds.fails(2, "emergency-stop", "--all", who="boss")
    assert ds.harness.record("alice").state is State.RUNNING
    assert "No container is running" in ds.ok("emergency-stop", "bob", "-y", who="boss")


def test_a_paused_container_is_stopped_too(ds: CommandLine) -> None:
    running(ds, "thesis")
    ds.ok("container-pause", "thesis")
    assert ds("emergency-stop", "--all", "-y", "--json", who="boss").json == {
        "stopped": ["thesis._.70001"],
        "failed": [],
    }
    assert ds.harness.record("alice").state is State.STOPPED


def test_who_did_it_is_in_the_history_and_its_owner_is_told(ds: CommandLine) -> None:
    running(ds, "thesis")
    ds.ok("emergency-stop", "alice", "-y", who="boss")
    step = ds.harness.record("alice").history[-1]
    assert (step.trigger, step.actor, step.why) == (Trigger.STOP, "boss", "emergency stop")
    told = [event for event in events(ds, "notice") if event["container"] == "thesis._.70001"]
    assert [(event["actor"], event["user"]) for event in told] == [("boss", "alice")]


def test_what_an_administrator_ends_its_owner_is_told_of(ds: CommandLine) -> None:
    running(ds, "thesis")
    ds.ok("container-stop", "thesis", "--user", "alice", who="boss")
    ds.ok("container-retire", "thesis", "--user", "alice", "--force", who="boss")
    assert [event["why"] for event in events(ds, "notice")] == ["stopped", "removed"]
    running(ds, "thesis")
    ds.ok("container-retire", "thesis", "--force")
    assert len(events(ds, "notice")) == 2  # what one does oneself is no news


def test_an_unreadable_policy_stops_no_emergency_stop(ds: CommandLine) -> None:
    running(ds, "thesis")
    ds.ok("tick", who="root")
    (ds.harness.root / "resource-limits.yaml").write_text("nonsense: [\n")
    answer = ds("emergency-stop", "--all", "-y", who="boss")
    assert answer.code == 0 and "the last good one applies" in answer.err
    assert not any(seen.status.has_processes for seen in ds.engine.containers())


@pytest.mark.in_process("puts an error inside")
def test_what_could_not_be_stopped_is_one_document_and_exit_code_one(
    ds: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(ds, "thesis")

    def fails(*_: object, **__: object) -> None:
        raise EngineRejected("Docker refused")

    monkeypatch.setattr(SimulatedEngine, "stop", fails)
    answer = ds("emergency-stop", "--all", "-y", "--json", who="boss")
    assert (answer.code, answer.json["stopped"]) == (1, [])
    assert answer.json["failed"] == ["thesis._.70001: Docker refused"]


# policy check


def draft(ds: CommandLine, text: str) -> str:
    path = ds.harness.root / "drafts" / "draft.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def test_the_policy_in_force_is_right(ds: CommandLine) -> None:
    assert "is valid: 1 group, 0 overrides." in ds.ok("policy", "check")


def test_all_errors_of_a_draft_are_listed(ds: CommandLine) -> None:
    error = ds.error("policy", "check", draft(ds, "defaults: {max_cpus: x, memory: 3}\nnonsense: 1\n"))
    assert (error["exit"], error["code"]) == (1, "policy.invalid")
    assert [item["key"] for item in error["data"]["errors"]] == ["defaults.max_cpus", "defaults.memory", "nonsense"]
    assert f"`ds01 policy check {ds.harness.root}/drafts/draft.yaml`" in error["hint"]
    absent = f"{ds.harness.root}/not here.yaml"
    told = ds.fails(1, "policy", "check", absent)
    assert absent in told and f"check '{absent}'`" in told


def test_what_is_wrong_is_said_as_it_is(ds: CommandLine) -> None:
    limits = "defaults: {max_mig_instances: -3, max_cpus: -0.5, memory: -3g, idle_timeout: -1h}\n"
    told = ds.fails(1, "policy", "check", draft(ds, limits))
    for text in ("-3", "-0.5", "-3g", "-1h"):
        assert f"`{text}` is too small: less than 0; allowed: a" in told
    times = "from: 2026-12-01T08:00Z, until: 2026-12-05T18:00Z"
    held = f"reservations:\n  - {{for: '@nope', slots: [0], {times}}}\n"
    told = ds.fails(1, "policy", "check", draft(ds, f"{held}groups: {{one: {{}}, two: {{}}}}\n"))
    assert "group `nope` does not exist; allowed: a login, or a group: @one, @two" in told
    told = ds.fails(1, "policy", "check", draft(ds, held))
    assert "allowed: a login, or a group: none is defined in `groups`" in told


def test_who_may_not_mend_the_policy_is_told_who_does(ds: CommandLine) -> None:
    path = ds.harness.root / "resource-limits.yaml"
    path.write_text("defaults: {memory: 3}\n")
    assert "An administrator can correct the lines" in ds.fails(1, "container-list")
    path.unlink()
    told = ds.fails(1, "container-list")
    assert "An administrator can start with the policy" in told and "ds01 policy check" in told
    path.mkdir()
    assert "An administrator can fix it" in ds.fails(1, "container-list")


def test_a_draft_elsewhere_has_the_members_of_the_server(ds: CommandLine) -> None:
    groups = ds.harness.root / "groups"
    groups.mkdir()
    (groups / "admins.members").write_text("bob\n")
    text = POLICY.replace("/SHARED", "/shared") + "user_overrides: {}\n"
    document = ds("policy", "check", draft(ds, text), "--against-current", "--json").json
    assert document["changed"] == []


def test_two_sizes_that_round_to_the_same_are_told_apart_in_a_draft(ds: CommandLine) -> None:
    ds.harness.set_policy("defaults: {memory: 24105m}\n")
    ds.ok("container-create", "thesis", "debian", "--cpu-only")
    document = ds("policy", "check", draft(ds, "defaults: {memory: 24100m}\n"), "--against-current", "--json").json
    changes = {(item["before"], item["after"]) for item in document["changed"] if item["label"] == "Memory"}
    assert changes == {("24105m", "24100m")}
    document = ds("policy", "check", draft(ds, "defaults: {memory: 8g}\n"), "--against-current", "--json").json
    changes = {(item["before"], item["after"]) for item in document["changed"] if item["label"] == "Memory"}
    assert changes == {("23.5g", "8g")}


def test_what_a_draft_would_change_is_said_for_whom(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "debian", "--background")
    ds.ok("container-create", "second", "debian", "--cpu-only")
    text = "defaults: {max_mig_instances: 0, max_containers_per_user: 1, idle_timeout: 1h}\n"
    words = ("policy", "check", draft(ds, text), "--against-current")
    document = ds(*words, "--json").json
    changed = {(item["user"], item["label"]): (item["before"], item["after"]) for item in document["changed"]}
    assert changed[("alice", "Max MIG Instances")] == ("2", "0")
    assert changed[("boss", "Administrator")] == ("yes", "none")
    assert {(item["what"], item["has"], item["limit"]) for item in document["over"]} == {
        ("max_mig_instances", 1, 0), ("max_containers_per_user", 2, 1),
    }  # fmt: skip
    assert [(item["container"], item["because"]) for item in document["sooner"]] == [("thesis._.70001", "idle")]
    told = ds.ok(*words)
    assert "alice would exceed max_containers_per_user: has 2 of 1; nothing is taken away." in told
    assert "thesis of alice: idle" in told
    assert "Nothing would change" in ds.ok("policy", "check", "--against-current")
