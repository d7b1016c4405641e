"""The stress run's checks work: each is given files that break its invariant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.actions import ALICE_THESIS, BOB_THESIS, create_container
from tests.harness import Harness
from tests.stress.invariants import Broken, Checker, check_warned


def rewrite(harness: Harness, login: str, **changes: Any) -> None:
    path = harness.record_file(login)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def checker(harness: Harness) -> Checker:
    create_container(harness, "alice", start=True)
    create_container(harness, "bob", start=True)
    return Checker(harness.state)


def test_whole_records_pass(checker: Checker) -> None:
    records = checker.snapshot()
    assert records is not None
    assert set(records) == {ALICE_THESIS, BOB_THESIS}


def test_a_slot_in_two_leases_is_noticed(checker: Checker, harness: Harness) -> None:
    rewrite(harness, "bob", lease=json.loads(harness.record_file("alice").read_text())["lease"])
    with pytest.raises(Broken, match="is leased to"):
        checker.snapshot()


def test_a_stopped_container_with_a_lease_is_noticed(checker: Checker, harness: Harness) -> None:
    rewrite(harness, "bob", state="stopped")
    with pytest.raises(Broken, match="is stopped and has a lease"):
        checker.snapshot()


def test_a_torn_record_is_noticed(checker: Checker, harness: Harness) -> None:
    path = harness.record_file("alice")
    path.write_text(path.read_text()[:100])
    with pytest.raises(Broken, match="torn"):
        checker.snapshot()


def test_a_revision_that_went_back_is_noticed(checker: Checker, harness: Harness) -> None:
    checker.snapshot()
    rewrite(harness, "alice", rev=1)
    with pytest.raises(Broken, match="went back"):
        checker.snapshot()


def test_nothing_is_read_while_the_lock_is_held(checker: Checker, harness: Harness) -> None:
    with harness.ledger.transaction():
        assert checker.snapshot() is None


@pytest.mark.parametrize(("why", "warning"), [("idle", "idle"), ("max_runtime", "runtime")])
def test_a_stop_without_a_warning_is_noticed(checker: Checker, harness: Harness, why: str, warning: str) -> None:
    before = checker.snapshot()
    assert before is not None
    record = before[ALICE_THESIS]
    stop = record["history"][-1] | {"actor": "tick", "why": why, "trigger": "stop"}
    after = {ALICE_THESIS: record | {"history": [*record["history"], stop]}}
    with pytest.raises(Broken, match="without a warning"):
        check_warned(before, after, {})
    warned = {ALICE_THESIS: record | {"warnings": {warning: {}}}}
    assert check_warned(warned, after, {}) == 1
