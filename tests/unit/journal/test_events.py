"""events.jsonl: one line per event; a failed write never stops an operation."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ds01.journal.events import EventLog
from tests.harness import NOON, Clock, umask


def test_line_begins_with_time_and_type_and_has_the_common_keys(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl", clock=Clock())
    log.emit("warning", {"actor": "tick", "container": "thesis._.70001", "deadline": NOON})
    assert json.loads((tmp_path / "events.jsonl").read_text()) == {
        "time": "2026-11-30T12:00:00Z",
        "type": "warning",
        "actor": "tick",
        "container": "thesis._.70001",
        "user": None,
        "why": None,
        "deadline": "2026-11-30T12:00:00Z",
    }


def test_event_is_always_one_line(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl", clock=Clock())
    log.emit("refusal", {"why": 'a\n{"type": "forged"}\r\x1b'})
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["why"].startswith("a\n")


def test_event_log_mode_ignores_the_umask(tmp_path: Path) -> None:
    with umask(0o077):
        EventLog(tmp_path / "events.jsonl", clock=Clock()).emit("x", {})
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o777 == 0o664


def test_full_disk_or_link_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("")
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "victim")
    log = EventLog(tmp_path / "events.jsonl", clock=Clock())
    log.emit("x", {})
    assert log.failure is not None
    assert (tmp_path / "victim").read_text() == ""
    full = EventLog(Path("/dev/full"), clock=Clock())
    full.emit("x", {})
    assert full.failure is not None and os.strerror(28) in full.failure
