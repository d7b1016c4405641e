"""Following events and logs: new lines at once, across a rotation, until Ctrl-C or until nobody reads any more."""

from __future__ import annotations

import json
import subprocess

import pytest

from ds01.journal.events import EventLog
from ds01.system.clock import now
from tests.terminal.conftest import STEP_TIMEOUT, TOP, Programs
from tests.wait import wait_until


@pytest.fixture
def log(programs: Programs) -> EventLog:
    (programs.harness.state / "log").mkdir()
    found = EventLog(programs.harness.state / "log" / "events.jsonl", clock=now)
    found.emit("pause", {"actor": "alice", "user": "alice", "container": "first._.0"})
    return found


def test_events_are_followed_across_a_rotation_until_ctrl_c(programs: Programs, log: EventLog) -> None:
    following = programs.at_terminal("events", "--follow")
    following.expect("alice (first): paused")
    log.emit("pause", {"actor": "alice", "user": "alice", "container": "second._.0"})
    following.expect("alice (second): paused")
    path = programs.harness.state / "log" / "events.jsonl"
    path.rename(path.with_suffix(".jsonl.1"))
    log.emit("pause", {"actor": "alice", "user": "alice", "container": "third._.0"})
    following.expect("alice (third): paused")
    following.interrupt()
    assert following.end() == 130 and "Traceback" not in following.seen


@pytest.mark.parametrize("words", [("events", "--follow", "--json"), ("logs", "events", "--follow")])
def test_a_follower_ends_when_its_reader_does(programs: Programs, log: EventLog, words: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        programs.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=programs.environment, cwd=TOP
    )
    assert process.stdout is not None and process.stderr is not None
    with process.stdout, process.stderr:
        assert json.loads(process.stdout.readline())["type"] == "pause"
        process.stdout.close()
        assert wait_until(lambda: process.poll() is not None)
        assert process.wait(STEP_TIMEOUT) == 0 and "Traceback" not in process.stderr.read().decode()
