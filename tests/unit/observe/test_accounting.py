"""The database of leases and measurements: what the tick writes into it."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ds01.gpus.model import GpuRequest
from ds01.observe.accounting import recorder
from ds01.observe.accounting.disk import DiskUse, record_disk_use
from ds01.observe.accounting.schema import VERSION
from ds01.observe.accounting.times import to_number
from tests.accounting_harness import AccountingHarness
from tests.actions import create_container
from tests.harness import NOON, Harness
from tests.tick_harness import TickHarness

THESIS = "thesis._.70001"
MINUTE = 60_000_000


@pytest.fixture
def accounting(harness: Harness) -> AccountingHarness:
    harness.set_policy("defaults: {max_mig_instances: 2, max_gpus_per_container: 2, idle_timeout: 10h}\n"
                       "groups: {admins: {members: [boss], admin: true}}\n")  # fmt: skip
    return AccountingHarness(harness)


def leases(accounting: AccountingHarness) -> list[tuple[str, float, float | None]]:
    """Return slot, begin and end of the leases, in minutes since noon."""
    rows = accounting.rows("SELECT slot, since, until FROM leases ORDER BY id")
    return [(slot, minutes(since), None if until is None else minutes(until)) for slot, since, until in rows]


def spans(accounting: AccountingHarness) -> list[tuple[str, float, float | None]]:
    rows = accounting.rows("SELECT state, since, until FROM spans ORDER BY lease, since, rowid")
    return [(state, minutes(since), None if until is None else minutes(until)) for state, since, until in rows]


def minutes(number: int) -> float:
    return (number - to_number(NOON)) / MINUTE


def test_a_lease_with_its_states(accounting: AccountingHarness) -> None:
    harness, gate, alice = accounting.harness, accounting.harness.gate, accounting.harness.actor("alice")
    create_container(harness, "alice", start=True)
    harness.clock.advance(minutes=10)
    gate.stop(alice, THESIS)
    harness.clock.advance(minutes=10)
    gate.start(alice, THESIS)
    harness.clock.advance(minutes=10)
    accounting.tick()
    assert leases(accounting) == [("1:0", 0, None)]
    assert spans(accounting) == [("leased", 0, 10), ("held", 10, 20), ("leased", 20, None)]
    gate.stop(alice, THESIS, release=True)
    accounting.tick(minutes=5)
    assert leases(accounting) == [("1:0", 0, 30)]
    gate.start(alice, THESIS)
    accounting.tick()
    assert leases(accounting) == [("1:0", 0, 30), ("1:0", 35, None)]


def test_a_lease_knows_its_owner(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", project="wind")
    accounting.record()
    query = "SELECT container, user, uid, user_group, project, image, kind, profile, gpu_uuid FROM leases"
    gpu = accounting.harness.inventory.observe().gpus[1].uuid
    assert accounting.rows(query) == [
        (THESIS, "alice", 70001, "default", "wind", "pytorch/pytorch", "mig", "2g.10gb", gpu)
    ]


def test_it_is_readable_by_everybody_and_has_a_version(accounting: AccountingHarness) -> None:
    before = os.umask(0o077)
    try:
        accounting.record()
    finally:
        os.umask(before)
    assert accounting.path.stat().st_mode & 0o777 == 0o644
    assert accounting.rows("PRAGMA user_version") == [(VERSION,)]


def test_reading_the_log_again_changes_nothing(accounting: AccountingHarness) -> None:
    live_a_little(accounting)
    accounting.record()
    before = (leases(accounting), spans(accounting))
    with closing(sqlite3.connect(accounting.path)) as connection, connection:
        connection.execute("DELETE FROM meta")
    accounting.record()
    assert (leases(accounting), spans(accounting)) == before


def test_a_lost_database_is_made_again_from_log_and_records(accounting: AccountingHarness) -> None:
    live_a_little(accounting)
    accounting.record()
    before = (leases(accounting), spans(accounting))
    accounting.path.unlink()
    assert accounting.record() is None
    assert (leases(accounting), spans(accounting)) == before


def test_without_any_log_the_records_say_what_was_leased(accounting: AccountingHarness) -> None:
    live_a_little(accounting)
    accounting.record()
    before = sorted(leases(accounting), key=str), sorted(spans(accounting), key=str)
    accounting.path.unlink()
    (accounting.log / "events.jsonl").unlink()
    accounting.record()
    assert (sorted(leases(accounting), key=str), sorted(spans(accounting), key=str)) == before


def test_a_lease_that_no_event_tells_is_taken_from_the_record(accounting: AccountingHarness) -> None:
    accounting.record()
    log = accounting.log / "events.jsonl"
    create_container(accounting.harness, "alice", start=True)
    log.write_text("")  # such as on a full disk
    accounting.record()
    assert leases(accounting) == [("1:0", 0, None)]
    accounting.harness.clock.advance(minutes=5)
    accounting.harness.gate.stop(accounting.harness.actor("alice"), THESIS)
    log.write_text("")
    accounting.record()
    assert spans(accounting) == [("leased", 0, 5), ("held", 5, None)]
    accounting.harness.clock.advance(minutes=5)
    accounting.harness.gate.remove(accounting.harness.actor("alice"), THESIS)
    log.write_text("")
    accounting.harness.clock.advance(minutes=5)
    accounting.record()
    assert leases(accounting) == [("1:0", 0, 10)]


def test_an_unreadable_record_ends_no_lease(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", start=True)
    accounting.record()
    accounting.harness.record_file("alice").write_text("{")
    accounting.record()
    assert leases(accounting) == [("1:0", 0, None)]


def test_a_rotated_log_is_read_on(accounting: AccountingHarness) -> None:
    harness, log = accounting.harness, accounting.log / "events.jsonl"
    create_container(harness, "alice", start=True)
    accounting.record()
    harness.clock.advance(minutes=5)
    harness.gate.stop(harness.actor("alice"), THESIS, release=True)
    log.rename(accounting.log / "events.jsonl.1")
    harness.clock.advance(minutes=5)
    harness.gate.start(harness.actor("alice"), THESIS)
    accounting.record()
    assert leases(accounting) == [("1:0", 0, 5), ("1:0", 10, None)]


def test_a_log_that_was_compressed_meanwhile_is_read_on(accounting: AccountingHarness) -> None:
    harness, log = accounting.harness, accounting.log / "events.jsonl"
    create_container(harness, "alice", start=True)
    accounting.record()
    harness.clock.advance(minutes=5)
    harness.gate.stop(harness.actor("alice"), THESIS, release=True)
    compress(log, accounting.log / "events.jsonl.2.gz")
    harness.clock.advance(minutes=5)
    harness.gate.start(harness.actor("alice"), THESIS)
    accounting.record()
    assert leases(accounting) == [("1:0", 0, 5), ("1:0", 10, None)]


def test_wrong_lines_are_passed_over(accounting: AccountingHarness) -> None:
    log = accounting.log / "events.jsonl"
    create_container(accounting.harness, "alice")
    (line,) = [line for line in log.read_bytes().splitlines() if b'"lease"' in line]
    event = json.loads(line)
    wrong = [{"uid": "x"}, {"uid": True}, {"at": "yesterday"}, {"id": None}, {"change": "lost"}, {"slot": "x" * 9999}]
    with log.open("ab") as file:
        for change in wrong:
            file.write(json.dumps(event | change).encode() + b"\n")
        file.write(b'{"type": "lease"}\n"lease"\n\xff\xfe"lease"\n' + line[:50] + b"\n" + b'"lease"' * 200_000 + b"\n")
    assert accounting.record() is None
    assert leases(accounting) == [("1:0", 0, None)]


def test_a_line_that_is_being_written_is_read_once_it_is_complete(accounting: AccountingHarness) -> None:
    log = accounting.log / "events.jsonl"
    create_container(accounting.harness, "alice")
    content = log.read_bytes()
    lease = content.index(b'"lease"')
    log.write_bytes(content[: lease + 20])
    (record,) = accounting.harness.records()
    accounting.record()
    log.write_bytes(content)
    accounting.record()
    assert leases(accounting) == [("1:0", 0, None)]
    assert accounting.rows("SELECT record FROM leases") == [(record.id,)]


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_corrupt_database_is_moved_aside_and_made_again(accounting: AccountingHarness, content: bytes) -> None:
    create_container(accounting.harness, "alice")
    accounting.path.write_bytes(content)
    problem = accounting.record()
    assert problem is not None and problem.moved
    (aside,) = accounting.path.parent.glob("accounting.sqlite.unusable-*")
    assert aside.read_bytes() == content
    assert accounting.record() is None
    assert leases(accounting) == [("1:0", 0, None)]


def test_a_table_that_is_missing_makes_it_unusable(accounting: AccountingHarness) -> None:
    accounting.record()
    with closing(sqlite3.connect(accounting.path)) as connection:
        connection.execute("DROP TABLE leases")
    problem = accounting.record()
    assert problem is not None and problem.moved
    assert accounting.record() is None


def test_a_link_is_not_followed(accounting: AccountingHarness, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"")
    accounting.path.symlink_to(target)
    problem = accounting.record()
    assert problem is not None
    assert target.read_bytes() == b""
    assert accounting.record() is None


def test_one_that_a_newer_version_wrote_is_left_alone(accounting: AccountingHarness) -> None:
    accounting.record()
    with closing(sqlite3.connect(accounting.path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    problem = accounting.record()
    assert problem is not None and not problem.moved
    assert accounting.rows("PRAGMA user_version") == [(VERSION + 1,)]


def test_a_database_that_somebody_locks_is_skipped(
    accounting: AccountingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounting.record()
    create_container(accounting.harness, "alice")
    monkeypatch.setattr("ds01.observe.accounting.database.WRITE_TIMEOUT", 0.01)
    with closing(sqlite3.connect(accounting.path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        problem = accounting.record()
        assert problem is not None and not problem.moved and "locked" in problem.why
    assert accounting.record() is None
    assert leases(accounting) == [("1:0", 0, None)]


def test_nothing_that_fails_inside_makes_a_tick_fail(
    accounting: AccountingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounting.record()
    create_container(accounting.harness, "alice")

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "sync_with_records", fail)
        problem = accounting.record()
        assert problem is not None and not problem.moved
        patch.setattr(recorder, "sync_with_records", lambda *_: 1 / 0)
        assert accounting.record() is not None
    assert leases(accounting) == []  # all or nothing
    accounting.record()
    assert leases(accounting) == [("1:0", 0, None)]


def test_version_1_is_upgraded(accounting: AccountingHarness) -> None:
    with closing(sqlite3.connect(accounting.path)) as connection:
        connection.executescript((Path(__file__).parent / "accounting_v1.sql").read_text())
    accounting.path.chmod(0o644)
    assert accounting.record() is None
    assert accounting.rows("PRAGMA user_version") == [(VERSION,)]
    kept = accounting.rows("SELECT slot, since, until FROM leases WHERE until IS NOT NULL")
    assert kept == [("0", 1000000, 2000000)]
    assert record_disk_use(accounting.harness.ledger, NOON, [DiskUse(70001, "alice", "images", 5)]) is None


def test_activity_utilisation_memory_and_cpu_of_the_time_between_two_ticks(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", start=True)
    ticker = TickHarness(accounting.harness)
    ticker.set_cpu_time(0)
    accounting.tick()
    accounting.set_gpus(slot_1_0=40.0)
    ticker.set_cpu_time(120)
    accounting.tick(minutes=5)
    accounting.set_gpus(slot_1_0=None)
    ticker.set_cpu_time(120)
    accounting.tick(minutes=5)
    query = "SELECT since, until, active, idle, unknown, measured, used, cpu, cpu_time FROM samples ORDER BY since"
    assert [tuple(minutes(number) for number in row[:2]) + row[2:] for row in accounting.rows(query)] == [
        (0, 5, 5 * MINUTE, 0, 0, 5 * MINUTE, 2 * MINUTE, 2 * MINUTE, 5 * MINUTE),
        (5, 10, 0, 5 * MINUTE, 0, 0, 0, 0, 5 * MINUTE),
    ]


def test_a_held_lease_and_one_that_never_ran_are_not_measured(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", name="held", start=True)
    create_container(accounting.harness, "bob", name="fresh")
    accounting.harness.gate.stop(accounting.harness.actor("alice"), accounting.harness.full("alice", "held"))
    accounting.tick()
    accounting.tick(minutes=5)
    assert accounting.rows("SELECT * FROM samples") == []


def test_measurements_are_cut_at_full_hours(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", start=True)
    accounting.set_gpus(slot_1_0=100.0)
    accounting.tick(minutes=50)
    accounting.tick(minutes=20)
    rows = accounting.rows("SELECT since, until, used FROM samples ORDER BY since")
    assert [(minutes(since), minutes(until), used) for since, until, used in rows] == [
        (50, 60, 10 * MINUTE),
        (60, 70, 10 * MINUTE),
    ]


def test_a_moment_says_nothing_about_a_long_time_before_it(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", start=True)
    accounting.set_gpus(slot_1_0=100.0)
    accounting.tick()
    accounting.tick(hours=8)
    assert accounting.rows("SELECT sum(used) FROM samples") == [(90 * MINUTE,)]


def test_energy_is_the_difference_of_counters_and_shared_by_slices(accounting: AccountingHarness) -> None:
    accounting.set_energy(gpu_0=1000.0, gpu_1=5000.0)
    create_container(accounting.harness, "alice", start=True)
    accounting.tick()
    accounting.set_energy(gpu_0=1500.0, gpu_1=8000.0)
    accounting.tick(minutes=30)
    assert accounting.rows("SELECT sum(energy) FROM energy") == [(3_500_000,)]
    alice = "SELECT sum(s.energy) FROM samples s JOIN leases l ON l.id = s.lease WHERE l.user = 'alice'"
    assert accounting.rows(alice) == [(1_000_000,)]  # one of three instances of the same size


def test_an_energy_counter_that_went_back_began_at_zero(accounting: AccountingHarness) -> None:
    accounting.set_energy(gpu_0=1000.0)
    accounting.tick()
    accounting.set_energy(gpu_0=20.0)
    accounting.tick(minutes=5)
    assert accounting.rows("SELECT sum(energy) FROM energy") == [(20_000,)]


def test_an_unknown_energy_counter_counts_once_it_is_known_again(accounting: AccountingHarness) -> None:
    for joules in (1000.0, None, 1300.0):
        accounting.set_energy(gpu_0=joules)
        accounting.tick(minutes=5)
    assert accounting.rows("SELECT sum(energy), min(since), max(until) FROM energy") == [
        (300_000, to_number(NOON + timedelta(minutes=5)), to_number(NOON + timedelta(minutes=15)))
    ]


def test_idle_stops_extensions_and_waits_are_counted_from_the_events(accounting: AccountingHarness) -> None:
    harness = accounting.harness
    create_container(harness, "alice", start=True)
    harness.gate.extend(harness.actor("alice"), THESIS, timedelta(hours=2))
    ticker = TickHarness(harness)
    ticker.set_cpu_time(0)
    for _ in range(16):
        accounting.tick(hours=1)
    assert harness.record("alice").state.value == "held"
    assert accounting.rows("SELECT container, user FROM idle_stops") == [(THESIS, "alice")]
    assert accounting.rows("SELECT user, duration FROM extensions") == [("alice", 120 * MINUTE)]


def test_a_manual_lease_is_measured_without_activity(accounting: AccountingHarness) -> None:
    accounting.harness.gate.allocate(accounting.harness.actor("boss"), 70001, "hand", GpuRequest(1))
    accounting.set_gpus(slot_1_0=50.0)
    accounting.tick()
    accounting.tick(minutes=10)
    assert accounting.rows("SELECT unknown, used FROM samples") == [(10 * MINUTE, 5 * MINUTE)]


def test_a_slot_that_is_gone_is_remembered(accounting: AccountingHarness) -> None:
    accounting.tick()
    observed = accounting.harness.inventory.observe()
    accounting.observe(replace(observed, slots=observed.slots[:2]))
    accounting.tick(minutes=5)
    assert accounting.rows("SELECT slot, present FROM slots ORDER BY slot") == [
        ("0", 1), ("1:0", 1), ("1:1", 0), ("1:2", 0),
    ]  # fmt: skip


def test_disk_use_is_kept_once_a_day_after_a_week(accounting: AccountingHarness) -> None:
    ledger = accounting.harness.ledger
    for hours in (0, 2, 30, 24 * 20):
        use = DiskUse(70001, "alice", "images", hours)
        assert record_disk_use(ledger, NOON + timedelta(hours=hours), [use]) is None
    assert accounting.rows("SELECT bytes FROM disk ORDER BY at") == [(2,), (30,), (480,)]


def live_a_little(accounting: AccountingHarness) -> None:
    """Let containers come and go."""
    harness, gate = accounting.harness, accounting.harness.gate
    for step in steps(harness):
        harness.clock.advance(minutes=7)
        step()
    gate.allocate(harness.actor("boss"), 70001, "hand", GpuRequest(1))


def steps(harness: Harness) -> Iterator[Callable[[], object]]:
    gate, alice, bob = harness.gate, harness.actor("alice"), harness.actor("bob")
    yield lambda: create_container(harness, "alice", start=True)
    yield lambda: create_container(harness, "bob", gpus=2, start=True)
    yield lambda: gate.stop(alice, THESIS)
    yield lambda: gate.start(alice, THESIS)
    yield lambda: gate.stop(alice, THESIS, release=True)
    yield lambda: gate.stop(bob, harness.full("bob"))
    yield lambda: gate.remove(bob, harness.full("bob"))
    yield lambda: gate.start(alice, THESIS)


def compress(path: Path, target: Path) -> None:
    status = path.stat()
    target.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(target, (status.st_atime, status.st_mtime))
    path.unlink()
