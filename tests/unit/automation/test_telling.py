"""Telling owners: the lab's program gets one JSON event, and one that hangs or fails holds nothing up."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ds01.journal import notifier
from ds01.journal.notices import Mailboxes, Notice
from ds01.journal.notifier import Teller
from ds01.policy.model import NotificationSettings
from ds01.system import clock
from tests.bed import NOON, Bed
from tests.ticking import Ticking

NOTICE = Notice(NOON, "idle", "thesis._.70001", "it is idle\x1b[2J", None)


@pytest.fixture
def said() -> list[tuple[str, Any]]:
    return []


def teller(bed: Bed, said: list[tuple[str, Any]], *command: str, terminal: bool = False) -> Teller:
    return Teller(
        Mailboxes(bed.state / "notices"),
        NotificationSettings(terminal=terminal, command=command or None),
        lambda kind, facts: said.append((kind, facts)),
        lambda uid, text: said.append(("terminal", text)),
    )


def program(bed: Bed, text: str) -> str:
    path = bed.root / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_labs_program_gets_one_json_event_on_stdin(ticking: Ticking, said: list[tuple[str, Any]]) -> None:
    bed = ticking.bed
    record = ticking.runs()
    out = bed.root / "out"
    assert teller(bed, said, program(bed, 'cat > "$1"; echo "$#" >> "$1"'), str(out)).tell(record, NOTICE)
    event, count = out.read_text().splitlines()
    assert json.loads(event) == {
        "time": "2026-11-30T12:00:00Z", "kind": "idle", "container": "thesis._.70001", "text": "it is idle\x1b[2J",
        "command": None, "user": "alice", "uid": 70001,
    }  # fmt: skip
    assert count == "1"


def test_nothing_in_the_policy_goes_through_a_shell(ticking: Ticking, said: list[tuple[str, Any]]) -> None:
    record = ticking.runs()
    path = ticking.bed.root / "made"
    teller(ticking.bed, said, "/bin/echo", f"; touch {path}").tell(record, NOTICE)
    assert not path.exists()


@pytest.mark.parametrize("command", ["/nonexistent/program", "/bin/false"])
def test_a_program_that_fails_is_said_and_the_mailbox_counts(
    ticking: Ticking, said: list[tuple[str, Any]], command: str
) -> None:
    record = ticking.runs()
    assert teller(ticking.bed, said, command).tell(record, NOTICE)
    assert [facts["why"].partition(":")[0] for _, facts in said if "delivered" not in facts] == ["notify.command"]


def test_a_program_that_hangs_is_cut_off_and_not_asked_again(
    ticking: Ticking, said: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "PATIENCE", 0.2)
    record = ticking.runs()
    counted = ticking.bed.root / "count"
    hangs = teller(ticking.bed, said, program(ticking.bed, f"echo >> {counted}; exec sleep 60"))
    began = time.monotonic()
    for _ in range(20):
        assert hangs.tell(record, NOTICE)
    assert time.monotonic() - began < 3
    assert counted.read_text() == "\n"


def test_every_notice_is_an_event(ticking: Ticking, said: list[tuple[str, Any]]) -> None:
    record = ticking.runs()
    teller(ticking.bed, said).tell(record, NOTICE)
    (folder := ticking.bed.state / "notices").rename(ticking.bed.state / "away")
    folder.write_text("")
    assert not teller(ticking.bed, said).tell(record, NOTICE)
    assert [(kind, facts["delivered"]) for kind, facts in said] == [("notice", True), ("notice", False)]


def test_terminals_are_the_policys_to_allow(ticking: Ticking, said: list[tuple[str, Any]]) -> None:
    record = ticking.runs()
    teller(ticking.bed, said, terminal=True).tell(record, NOTICE)
    teller(ticking.bed, said, terminal=False).tell(record, NOTICE)
    assert [kind for kind, _ in said].count("terminal") == 1


def test_the_time_is_said_in_the_servers_zone(
    ticking: Ticking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clock, "server_zone", lambda: ZoneInfo("Asia/Tokyo"))
    ticking.runs()
    ticking.tick(hours=8)
    assert "Tue 01 Dec 07:00" in ticking.post()[0].text  # 22:00 UTC
