"""The checks of the stress run notice what they are for: each is shown files in which its invariant is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acts import ALICE, BOB, fill
from tests.bed import Bed
from tests.stress.invariants import Broken, Checker, check_warned


def rewrite(bed: Bed, login: str, **changes: Any) -> None:
    path = bed.record_file(login)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def checker(bed: Bed) -> Checker:
    fill(bed, "alice", start=True)
    fill(bed, "bob", start=True)
    return Checker(bed.state)


def test_whole_records_pass(checker: Checker) -> None:
    records = checker.snapshot()
    assert records is not None
    assert set(records) == {ALICE, BOB}


def test_a_slot_in_two_leases_is_noticed(checker: Checker, bed: Bed) -> None:
    rewrite(bed, "bob", lease=json.loads(bed.record_file("alice").read_text())["lease"])
    with pytest.raises(Broken, match="is leased to"):
        checker.snapshot()


def test_a_stopped_container_with_a_lease_is_noticed(checker: Checker, bed: Bed) -> None:
    rewrite(bed, "bob", state="stopped")
    with pytest.raises(Broken, match="is stopped and has a lease"):
        checker.snapshot()


def test_a_torn_record_is_noticed(checker: Checker, bed: Bed) -> None:
    path = bed.record_file("alice")
    path.write_text(path.read_text()[:100])
    with pytest.raises(Broken, match="torn"):
        checker.snapshot()


def test_a_revision_that_went_back_is_noticed(checker: Checker, bed: Bed) -> None:
    checker.snapshot()
    rewrite(bed, "alice", rev=1)
    with pytest.raises(Broken, match="went back"):
        checker.snapshot()


def test_while_somebody_holds_the_lock_nothing_is_read(checker: Checker, bed: Bed) -> None:
    with bed.ledger.transaction():
        assert checker.snapshot() is None


@pytest.mark.parametrize(("why", "warning"), [("idle", "idle"), ("max_runtime", "runtime")])
def test_a_stop_without_a_warning_is_noticed(checker: Checker, bed: Bed, why: str, warning: str) -> None:
    before = checker.snapshot()
    assert before is not None
    record = before[ALICE]
    stop = record["history"][-1] | {"actor": "tick", "why": why, "trigger": "stop"}
    after = {ALICE: record | {"history": [*record["history"], stop]}}
    with pytest.raises(Broken, match="without a warning"):
        check_warned(before, after, {})
    warned = {ALICE: record | {"warnings": {warning: {}}}}
    assert check_warned(warned, after, {}) == 1
