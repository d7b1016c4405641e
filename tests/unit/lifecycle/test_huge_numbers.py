"""A record with a number that no field can hold is corrupt, and harms nobody else."""

from __future__ import annotations

import json

import pytest

from ds01.system.data import DataError, parse_json
from tests import legal
from tests.bed import Bed

ALICE, BOB = "thesis._.70001", "thesis._.70002"
DIGITS = "9" * 400
NUMBERS = ["1e300", "-1e300", "1e999", DIGITS, f"-{DIGITS}", "NaN", "Infinity", "1e19", str(2**63)]
FIELDS = ["extended", "uid", "gid", "rev", "schema"]
LIMITS = ["max_cpus", "memory", "idle_timeout", "priority", "pids_limit", "gpu_hold_after_stop"]
TIMES = ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9500-01-01T00:00:00Z"]


def check_harmless(bed: Bed) -> None:
    gate = bed.another_gate()
    assert [seen.state for seen in gate.containers(bed.actor("bob"))] == ["created"]
    gate.gpus(bed.actor("bob"))
    assert gate.containers(bed.actor("boss"), all_users=True)
    gate.create(bed.actor("carol"), bed.request("carol"))
    legal.check_settled(bed)


@pytest.fixture
def two(bed: Bed) -> Bed:
    for login in ("alice", "bob"):
        bed.gate.create(bed.actor(login), bed.request(login))
    return bed


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", FIELDS + LIMITS)
def test_a_number(two: Bed, field: str, number: str) -> None:
    path = two.record_file("alice")
    document = json.loads(path.read_text())
    holder = document if field in FIELDS else document["resource_limits"]
    holder[field] = "HUGE"
    path.write_text(json.dumps(document).replace('"HUGE"', number))
    check_harmless(two)


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("field", ["created_at", "started_at", "stopped_at", "extended_until"])
def test_a_time(two: Bed, field: str, time: str) -> None:
    path = two.record_file("alice")
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: time}))
    check_harmless(two)


@pytest.mark.parametrize("text", [*NUMBERS, "[" * 100_000, '{"a": ' * 50_000, "", "{", "\ufeff{", "[1,]"])
def test_what_is_no_json_for_us_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(DataError):
        parse_json(text)


def test_what_a_field_can_hold_is_read(two: Bed) -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 1.5, -9223372036854775807, 1e18, "x", null, true]}')["a"][2] == 1 - 2**63
