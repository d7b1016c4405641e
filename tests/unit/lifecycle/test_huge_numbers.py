"""A record with a number that no field can hold is corrupt, and affects no other."""

from __future__ import annotations

import json

import pytest

from ds01.system.data import DataError, parse_json
from tests import invariants
from tests.harness import Harness

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"
DIGITS = "9" * 400
NUMBERS = ["1e300", "-1e300", "1e999", DIGITS, f"-{DIGITS}", "NaN", "Infinity", "1e19", str(2**63)]
FIELDS = ["extended", "uid", "gid", "rev", "schema"]
LIMITS = ["max_cpus", "memory", "idle_timeout", "priority", "pids_limit", "gpu_hold_after_stop"]
TIMES = ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9500-01-01T00:00:00Z"]


def check_harmless(harness: Harness) -> None:
    gate = harness.another_gate()
    assert [seen.state for seen in gate.containers(harness.actor("bob"))] == ["created"]
    gate.gpus(harness.actor("bob"))
    assert gate.containers(harness.actor("boss"), all_users=True)
    gate.create(harness.actor("carol"), harness.request("carol"))
    invariants.check_settled(harness)


@pytest.fixture
def two(harness: Harness) -> Harness:
    for login in ("alice", "bob"):
        harness.gate.create(harness.actor(login), harness.request(login))
    return harness


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", FIELDS + LIMITS)
def test_a_number(two: Harness, field: str, number: str) -> None:
    path = two.record_file("alice")
    document = json.loads(path.read_text())
    holder = document if field in FIELDS else document["resource_limits"]
    holder[field] = "HUGE"
    path.write_text(json.dumps(document).replace('"HUGE"', number))
    check_harmless(two)


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("field", ["created_at", "started_at", "stopped_at", "extended_until"])
def test_a_time(two: Harness, field: str, time: str) -> None:
    path = two.record_file("alice")
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: time}))
    check_harmless(two)


@pytest.mark.parametrize("text", [*NUMBERS, "[" * 100_000, '{"a": ' * 50_000, "", "{", "\ufeff{", "[1,]"])
def test_what_is_no_json_for_us_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(DataError):
        parse_json(text)


def test_what_a_field_can_hold_is_read(two: Harness) -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 1.5, -9223372036854775807, 1e18, "x", null, true]}')["a"][2] == 1 - 2**63
