"""ds01 events and ds01 logs: what is shown, in which period, and how wrong options are answered."""

from __future__ import annotations

import json
import sys
from io import StringIO

import pytest

from ds01.cli.ui import output
from ds01.cli.ui.width import cut_to_width, text_width
from tests.command_line import CommandLine


@pytest.fixture
def history(ds: CommandLine) -> CommandLine:
    ds.ok("container-deploy", "thesis", "any/image", "--background")
    ds.harness.clock.advance(hours=3)
    ds.ok("container-stop", "thesis")
    ds.ok("container-deploy", "other", "any/image", "--cpu-only", "--background", who="bob")
    ds.harness.clock.advance(hours=30)
    ds.ok("container-retire", "thesis", "--force")
    return ds


def test_one_line_says_when_who_and_what(history: CommandLine) -> None:
    assert history.ok("events").splitlines() == [
        "30 Nov 12:00:00  alice (thesis): created, with GPU 1:0",
        "30 Nov 12:00:00  alice (thesis): started, with GPU 1:0",
        "30 Nov 15:00:00  alice (thesis): stopped; GPU 1:0 is held",
        "01 Dec 21:00:00  alice (thesis): removed",
    ]


def test_administrators_see_all_and_choose(history: CommandLine) -> None:
    assert len(history.ok("events", who="boss").splitlines()) == 6
    assert len(history.ok("events", "--all-users", who="boss").splitlines()) == 6
    assert len(history.ok("events", "--user", "bob", who="boss").splitlines()) == 2
    assert len(history.ok("events", "--container", "thesis", who="boss").splitlines()) == 4
    history.fails(3, "events", "--all-users")
    history.fails(3, "events", "--user", "bob")


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--last", "31h"), 2), (("--last", "1h"), 1), (("--since", "2026-12-01"), 1), (("--until", "2026-11-30"), 3),
        (("--since", "2026-11-30 14:00", "--until", "2026-11-30 16:00"), 1), (("--since", "20:00"), 1),
        (("--since", "2026-11-30T15:00Z"), 2), (("--type", "stop"), 1), (("--type", "stop", "--type", "start"), 2),
        (("--limit", "3"), 3),
    ],
)  # fmt: skip
def test_a_period_and_types(history: CommandLine, options: tuple[str, ...], count: int) -> None:
    assert len(history.ok("events", *options).splitlines()) == count


@pytest.mark.parametrize(
    "options",
    [("--since", "25:00"), ("--since", "yesterday"), ("--last", "5"), ("--last", "1h", "--since", "12:00"),
     ("--type", "stopp"), ("--limit", "0"), ("--since", "2026-12-02", "--until", "2026-12-01"),
     ("--follow", "--until", "12:00"), ("--since", "2026-02-30 10:00"), ("--last", "200000w")],
)  # fmt: skip
def test_wrong_options_are_wrong_use(ds: CommandLine, options: tuple[str, ...]) -> None:
    ds.fails(2, "events", *options)


def test_json_has_the_events_as_they_lie_in_the_file(history: CommandLine) -> None:
    lines = (history.harness.state / "log" / "events.jsonl").read_text().splitlines()
    events = history("events", "--json", who="boss").json["events"]
    lying = [json.loads(line) for line in lines]
    assert events == [event for event in lying if event["type"] != "lease"]
    leases = history("events", "--type", "lease", "--json", who="boss").json["events"]
    assert leases == [event for event in lying if event["type"] == "lease"] != []


def test_an_event_cannot_steer_the_terminal_or_forge_a_line(ds: CommandLine) -> None:
    (ds.harness.state / "log").mkdir(exist_ok=True)
    event = {
        "time": "2026-11-30T12:00:00Z",
        "type": "repair",
        "user": "alice",
        "why": "a\n30 Nov forged\x1b[2J\u202e\t",
    }
    (ds.harness.state / "log" / "events.jsonl").write_text(json.dumps(event) + "\n")
    (line,) = ds.ok("events").splitlines()
    assert "\x1b" not in line and "\u202e" not in line and line.startswith("30 Nov 12:00:00  alice: repaired")


def test_nothing_happened_is_said(ds: CommandLine) -> None:
    assert ds.ok("events") == "No events.\n"


def test_logs_are_listed_with_size_and_age(history: CommandLine) -> None:
    found = history.ok("logs", who="boss")
    assert "gpu-allocations.log" in found and "events.jsonl" in found
    tick = next(line for line in found.splitlines() if line.startswith("tick "))
    assert tick.split()[1:4] == ["–", "–", "–"]
    history.fails(3, "logs")
    history.fails(2, "logs", "--follow", who="boss")


def test_a_log_is_shown_as_it_is_written(history: CommandLine) -> None:
    found = history.ok("logs", "allocations", "--lines", "2", who="boss").splitlines()
    assert [line.split()[2] for line in found] == ["HELD", "RELEASED"]
    assert history("logs", "allocations", "-n", "1", "--json", who="boss").json["lines"] == found[1:]
    history.fails(2, "logs", "passwd", who="boss")


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("שלום", 4)]
)  # fmt: skip
def test_wide_and_combining_letters_take_their_columns(text: str, width: int) -> None:
    assert text_width(text) == width


def test_a_text_is_cut_by_columns() -> None:
    assert cut_to_width("日本語の名前", 7) == "日本語…"
    assert cut_to_width("日本語", 6) == "日本語"


@pytest.mark.in_process("looks at a stream of its own")
def test_a_line_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "40")
    output.print_line("名" * 100)
    assert text_width(stream.getvalue().rstrip("\n")) <= 40 and stream.getvalue().count("\n") == 1
