"""ds01 tick, container-extend, ds01 queue, and the notices before a command's own output."""

from __future__ import annotations

import json
import os

import pytest

from ds01.journal.notices import Mailboxes, Notice
from tests.command_line import CommandLine, prepare_home_directories

POLICY = """\
defaults: {max_mig_instances: 2, idle_timeout: 10h, max_extension: 6h}
groups: {admins: {members: [boss], admin: true}}
mounts: {workspace: [], data: [], models: []}
"""


@pytest.fixture
def idle(ds: CommandLine) -> CommandLine:
    """Alice's container runs since noon, and does nothing."""
    ds.harness.set_policy(POLICY)
    prepare_home_directories(ds.harness)
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    ds.ok("tick", who="root")
    return ds


def later(ds: CommandLine, **by: float) -> None:
    ds.harness.clock.advance(**by)


def ticked(ds: CommandLine) -> dict[str, object]:
    """What tick.json says of the last pass."""
    document = json.loads((ds.harness.state / "tick.json").read_text())
    del document["last_good_at"]
    return document


def last_good(ds: CommandLine) -> str | None:
    return json.loads((ds.harness.state / "tick.json").read_text())["last_good_at"]


def test_a_tick_says_what_it_did_and_writes_it_down(idle: CommandLine) -> None:
    later(idle, hours=8)
    answer = idle("tick", "--json", who="root")
    assert answer.code == 0
    assert set(answer.json) == {"started_at", "seconds", "looked_at", "acted", "warned", "unknown", "errors"}
    assert answer.json["looked_at"] == 1
    assert [item["container"] for item in answer.json["warned"]] == ["thesis._.70001"]
    assert ticked(idle) == answer.json
    later(idle, hours=2)
    assert "acted    thesis._.70001: stop, idle, due 2026-11-30T22:00:00Z" in idle.ok("tick", who="root")
    assert idle.state() == "held"
    assert (idle.harness.state / "tick.json").stat().st_mode & 0o777 == 0o644


def test_a_dry_run_leaves_no_trace(idle: CommandLine) -> None:
    later(idle, hours=8)
    before = {path: path.read_bytes() for path in idle.harness.state.rglob("*.json*") if "log" not in path.parts}
    assert "warned   thesis._.70001: warn, idle" in idle.ok("tick", "--dry-run", who="root")
    assert {
        path: path.read_bytes() for path in idle.harness.state.rglob("*.json*") if "log" not in path.parts
    } == before


def test_a_tick_that_meets_another_leaves_at_once(idle: CommandLine) -> None:
    before = ticked(idle)
    with idle.harness.ledger.tick_lock():
        assert idle.ok("tick", who="root") == "Another tick is running.\n"
        assert idle("tick", "--json", who="root").json["looked_at"] == 0
    assert ticked(idle) == before


def test_without_docker_it_fails_and_tick_json_says_so(idle: CommandLine) -> None:
    later(idle, hours=8)
    idle.engine.set_answering(False)
    answer = idle("tick", who="root")
    assert answer.code == 1
    assert "Docker is not running" in answer.out
    assert ticked(idle)["errors"] == [
        {
            "container": "",
            "action": "judge",
            "why": "Docker is not running: the simulated engine was told not to answer",
        }
    ]


def test_the_last_good_tick_outlives_bad_ones_and_doctor_counts_from_it(idle: CommandLine) -> None:
    later(idle, minutes=5)
    idle.ok("tick", who="root")
    assert last_good(idle) == "2026-11-30T12:05:00Z"
    idle.engine.set_answering(False)
    for _ in range(5):
        later(idle, minutes=5)
        assert idle("tick", who="root").code == 1
        assert last_good(idle) == "2026-11-30T12:05:00Z"
    found = {item["check"]: item for item in idle("doctor", "--json", who="root").json["findings"]}
    assert (found["tick"]["level"], found["tick"]["found"]) == ("error", "the last good tick was 25 minutes ago")
    assert found["tick-errors"]["level"] == "warning"
    idle.engine.set_answering(True)
    idle.ok("tick", who="root")
    assert last_good(idle) == "2026-11-30T12:30:00Z"
    assert [item["level"] for item in idle("doctor", "--json").json["findings"] if item["check"] == "tick"] == ["ok"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("content", ["", "[1]", '{"last_good_at": 7, "errors": []}'])
def test_a_spoilt_tick_json_has_no_last_good_tick(idle: CommandLine, content: str) -> None:
    (idle.harness.state / "tick.json").write_text(content)
    idle.engine.set_answering(False)
    assert idle("tick", who="root").code == 1
    assert last_good(idle) is None


def test_an_unreadable_policy_is_replaced_by_the_last_good_one(idle: CommandLine) -> None:
    (idle.harness.root / "resource-limits.yaml").write_text("defaults: {idle_timeout: 1}\n")
    later(idle, hours=8)
    answer = idle("tick", "--json", who="root")
    assert answer.code == 1
    assert [item["why"].partition(":")[0] for item in answer.json["errors"]] == [
        "the policy is unreadable, so the last good one applies"
    ]
    assert len(answer.json["warned"]) == 1
    assert ticked(idle) == answer.json
    (idle.harness.root / "resource-limits.yaml").unlink()
    later(idle, hours=2)
    assert idle("tick", who="root").code == 1
    assert idle.state() == "held"


def test_without_any_policy_nothing_is_judged_and_tick_json_says_so(ds: CommandLine) -> None:
    (ds.harness.root / "resource-limits.yaml").write_text("nonsense")
    answer = ds("tick", "--json", who="root")
    assert answer.code == 1
    assert [item["action"] for item in ticked(ds)["errors"]] == ["policy"]  # type: ignore[union-attr, index]


def test_a_changed_policy_and_its_members_are_an_event_and_are_kept(idle: CommandLine) -> None:
    harness = idle.harness
    groups = harness.root / "groups"
    groups.mkdir()
    (groups / "admins.members").write_text("bob\n")
    idle.ok("tick", who="root")
    idle.ok("tick", who="root")
    (groups / "admins.members").unlink()
    idle.ok("tick", who="root")
    kinds = [json.loads(line)["type"] for line in (harness.state / "log" / "events.jsonl").read_text().splitlines()]
    assert kinds.count("configuration") == 2
    assert list((harness.state / "last-good-policy" / "groups").iterdir()) == []


def test_the_log_of_allocations_lies_beside_the_events(idle: CommandLine) -> None:
    lines = (idle.harness.state / "log" / "gpu-allocations.log").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(" ALLOCATED 1:0 alice thesis._.70001 priority=10 create by alice")


def test_a_tick_is_roots(ds: CommandLine) -> None:
    ds.use_real_identity()
    ds.fails(3, "tick", who="bob")


@pytest.mark.in_process("as if the caller might not write into others' mailboxes")
def test_what_an_administrator_did_is_told_by_the_next_tick(idle: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Mailboxes, "deliver", lambda *args: False)
        idle.ok("emergency-stop", "alice", "-y", who="boss")
    mailboxes = Mailboxes(idle.harness.state / "notices")
    assert mailboxes.take(idle.harness.people["alice"]) == []
    idle.ok("tick", who="root")
    assert ["stopped at once by" in notice.text for notice in mailboxes.take(idle.harness.people["alice"])] == [True]


# container-extend


def test_an_extension_says_the_new_deadline(idle: CommandLine) -> None:
    said = idle.ok("container-extend", "thesis", "4h", "--reason", "last epoch")
    assert said.startswith("Extended thesis: its next deadline is ")
    assert "idle stop" in said
    deadline = idle("container-list", "--json").json["containers"][0]["deadline"]
    assert deadline == {"at": "2026-12-01T02:00:00Z", "because": "idle"}
    events = (idle.harness.state / "log" / "events.jsonl").read_text()
    assert '"why": "last epoch"' in events
    assert "`container-extend thesis 2h`" in idle.fails(3, "container-extend", "thesis", "3h")
    for words in (["thesis"], ["thesis", "12"], ["thesis", "0h"], ["thesis", "1h", "more"], []):
        idle.fails(2, "container-extend", *words)
    idle.ok("container-stop", "thesis")
    idle.fails(6, "container-extend", "thesis", "1h")


# ds01 queue, and waiting


def test_the_queue_is_shown_and_cancelled(ds: CommandLine) -> None:
    harness = ds.harness
    assert ds.ok("queue") == "Nobody is waiting.\n"
    from ds01.records.wait_queue import Waiter

    request = harness.request("alice", gpus=1)
    waiter = Waiter("", "alice", harness.people["alice"], 10, harness.clock(), harness.full("alice"), request)
    with harness.ledger.wait_queue().join(waiter) as standing:
        later(ds, minutes=5)
        assert f"1  {standing.id}  alice  thesis" in ds.ok("queue")
        (row,) = ds("queue", "--json").json["waiting"]
        assert set(row) == {"id", "user", "name", "gpus", "request", "priority", "since", "position", "why", "earliest"}
        assert (row["position"], row["why"]) == (1, None)
        assert row["request"]["image"] and ds("queue", "--json", who="bob").json["waiting"][0]["request"] is None
        ds.fails(2, "queue", "drop", standing.id)
        if os.geteuid() == 0:
            ds.fails(3, "queue", "cancel", standing.id, who="bob")
        ds.ok("queue", "cancel", standing.id)
        ds.fails(5, "queue", "cancel", standing.id)
    assert ds("queue", "--json").json == {"waiting": []}


@pytest.mark.in_process("changes the policy between two steps")
def test_a_policy_that_changes_during_the_pull_counts(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    from ds01.cli.container.creation import workflow

    def saved_meanwhile(session: object, step: str, **more: str) -> None:
        if step == "create":
            ds.harness.set_policy("defaults: {max_mig_instances: 0}\n")

    monkeypatch.setattr(workflow, "explain", saved_meanwhile)
    error = ds.error("container-create", "thesis", "pytorch", "--gpus", "1")
    assert (error["exit"], error["code"], error["data"]["refusal"]["limit"]) == (3, "quota.gpus", 0)
    assert ds.harness.records() == []


@pytest.mark.in_process("changes the policy between two steps")
def test_what_was_created_after_a_wait_is_said_with_the_limits_of_now(
    ds: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ds01.cli.container.creation import workflow

    def saved_meanwhile(session: object, step: str, **more: str) -> None:
        if step == "create":
            ds.harness.set_policy("defaults: {memory: 7g}\n")

    monkeypatch.setattr(workflow, "explain", saved_meanwhile)
    assert "7g memory" in ds.ok("container-create", "thesis", "pytorch", "--gpus", "1", "--wait")


def test_wait_for_ends_with_4(ds: CommandLine) -> None:
    ds.harness.set_policy(
        "defaults: {max_mig_instances: null, max_gpus_per_container: 3, max_containers_per_user: null}\n"
    )
    for name, gpus in (("one", "3"), ("two", "1")):
        ds.ok("container-create", name, "pytorch", "--gpus", gpus, who="root")
    answer = ds("container-create", "thesis", "pytorch", "--gpus", "1", "--wait-for", "1s")
    assert answer.code == 4
    assert "Waiting, number 1 in the queue" in answer.out
    assert answer.err.startswith("Error: the wait of 1s is over, and no GPU came free\n"), answer.err
    assert "root (one)" in answer.err and "wait longer" in answer.err and "in the queue" not in answer.err


# pending notices


@pytest.fixture
def terminal(ds: CommandLine) -> None:
    ds.make_stderr_terminal()


def put(ds: CommandLine, text: str = "thesis does nothing") -> None:
    notice = Notice(ds.harness.clock(), "idle", "thesis._.70001", text, "container-extend thesis 6h")
    assert Mailboxes(ds.harness.state / "notices").deliver(*ds.caller, notice)


def test_the_callers_notices_come_once_before_the_commands_own_words(ds: CommandLine, terminal: None) -> None:
    put(ds)
    answer = ds("queue")
    assert answer.code == 0
    assert answer.out == "Nobody is waiting.\n"
    assert "thesis does nothing → `container-extend thesis 6h`" in " ".join(answer.err.split())
    assert ds("queue").err == ""


@pytest.mark.parametrize("words", [["queue", "--quiet"], ["queue", "--json"], ["tick"]])
def test_scripts_and_the_tick_take_nothing(ds: CommandLine, terminal: None, words: list[str]) -> None:
    ds.who = "root"
    put(ds)
    assert "does nothing" not in ds(*words).err
    assert "does nothing" in ds("queue").err


def test_without_a_terminal_they_stay_for_later(ds: CommandLine) -> None:
    put(ds)
    assert ds("queue").err == ""
    assert "thesis does nothing" in json.dumps(Mailboxes(ds.harness.state / "notices").take(ds.caller[0])[0].text)


def test_they_come_before_an_error_too(ds: CommandLine, terminal: None) -> None:
    put(ds)
    err = ds.fails(5, "container-start", "nothing")
    assert err.index("does nothing") < err.index("Error:")


def test_control_characters_and_lines_of_a_notice_do_nothing(ds: CommandLine, terminal: None) -> None:
    put(ds, "a\x1b[2Jb\nError: forged")
    err = ds("queue").err
    assert "\x1b" not in err
    assert "\nError" not in err


def test_a_broken_mailbox_keeps_nobody_from_working(ds: CommandLine, terminal: None) -> None:
    box = ds.harness.state / "notices"
    box.mkdir()
    path = box / f"{ds.caller[0]}.jsonl"
    path.write_bytes(b"\xff\x00{")
    assert ds.ok("queue") == "Nobody is waiting.\n"
    path.unlink(missing_ok=True)
    path.mkdir()
    assert ds.ok("queue") == "Nobody is waiting.\n"


def test_ds01_notices_shows_each_once(ds: CommandLine, terminal: None) -> None:
    ds.who = "root"
    put(ds)
    if os.geteuid() == 0:
        assert "thesis does nothing" in ds.ok("notices", "--user", "root")
        assert ds.ok("notices", "--user", "root") == ""


@pytest.mark.in_process("looks at what is called inside")
def test_nothing_is_opened_when_there_is_nothing(
    ds: CommandLine, terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ds)
    ds("queue")
    monkeypatch.setattr(Mailboxes, "take", lambda *args: pytest.fail("it was opened"))
    assert ds("queue").err == ""
