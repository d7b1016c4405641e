"""Notifying owners: the lab's program gets one JSON event, and a hanging or failing program delays nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ds01.journal import notifier as notifier_module
from ds01.journal.notices import Mailboxes, Notice
from ds01.journal.notifier import Notifier
from ds01.policy.model import NotificationSettings
from ds01.system import clock
from tests.harness import NOON, Harness
from tests.tick_harness import TickHarness

NOTICE = Notice(NOON, "idle", "thesis._.70001", "it is idle\x1b[2J", None)


@pytest.fixture
def said() -> list[tuple[str, Any]]:
    return []


def notifier(harness: Harness, said: list[tuple[str, Any]], *command: str, terminal: bool = False) -> Notifier:
    return Notifier(
        Mailboxes(harness.state / "notices"),
        NotificationSettings(terminal=terminal, command=command or None),
        lambda kind, facts: said.append((kind, facts)),
        lambda uid, text: said.append(("terminal", text)),
    )


def program(harness: Harness, text: str) -> str:
    path = harness.root / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_labs_program_gets_one_json_event_on_stdin(ticker: TickHarness, said: list[tuple[str, Any]]) -> None:
    harness = ticker.harness
    record = ticker.start_container()
    out = harness.root / "out"
    assert notifier(harness, said, program(harness, 'cat > "$1"; echo "$#" >> "$1"'), str(out)).notify_owner(
        record, NOTICE
    )
    event, count = out.read_text().splitlines()
    assert json.loads(event) == {
        "time": "2026-11-30T12:00:00Z", "kind": "idle", "container": "thesis._.70001", "text": "it is idle\x1b[2J",
        "command": None, "user": "alice", "uid": 70001,
    }  # fmt: skip
    assert count == "1"


def test_nothing_in_the_policy_goes_through_a_shell(ticker: TickHarness, said: list[tuple[str, Any]]) -> None:
    record = ticker.start_container()
    path = ticker.harness.root / "made"
    notifier(ticker.harness, said, "/bin/echo", f"; touch {path}").notify_owner(record, NOTICE)
    assert not path.exists()


@pytest.mark.parametrize("command", ["/nonexistent/program", "/bin/false"])
def test_a_program_that_fails_is_said_and_the_mailbox_counts(
    ticker: TickHarness, said: list[tuple[str, Any]], command: str
) -> None:
    record = ticker.start_container()
    assert notifier(ticker.harness, said, command).notify_owner(record, NOTICE)
    assert [facts["why"].partition(":")[0] for _, facts in said if "delivered" not in facts] == ["notify.command"]


def test_a_program_that_hangs_is_cut_off_and_not_asked_again(
    ticker: TickHarness, said: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "COMMAND_TIMEOUT", 0.2)
    record = ticker.start_container()
    counted = ticker.harness.root / "count"
    hangs = notifier(ticker.harness, said, program(ticker.harness, f"echo >> {counted}; exec sleep 60"))
    began = time.monotonic()
    for _ in range(20):
        assert hangs.notify_owner(record, NOTICE)
    assert time.monotonic() - began < 3
    assert counted.read_text() == "\n"


def test_every_notice_is_an_event(ticker: TickHarness, said: list[tuple[str, Any]]) -> None:
    record = ticker.start_container()
    notifier(ticker.harness, said).notify_owner(record, NOTICE)
    (folder := ticker.harness.state / "notices").rename(ticker.harness.state / "away")
    folder.write_text("")
    assert not notifier(ticker.harness, said).notify_owner(record, NOTICE)
    assert [(kind, facts["delivered"]) for kind, facts in said] == [("notice", True), ("notice", False)]


def test_terminals_are_the_policys_to_allow(ticker: TickHarness, said: list[tuple[str, Any]]) -> None:
    record = ticker.start_container()
    notifier(ticker.harness, said, terminal=True).notify_owner(record, NOTICE)
    notifier(ticker.harness, said, terminal=False).notify_owner(record, NOTICE)
    assert [kind for kind, _ in said].count("terminal") == 1


def test_the_time_is_said_in_the_servers_zone(
    ticker: TickHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clock, "server_zone", lambda: ZoneInfo("Asia/Tokyo"))
    ticker.start_container()
    ticker.tick(hours=8)
    assert "Tue 01 Dec 07:00" in ticker.take_notices()[0].text  # 22:00 UTC
