"""The sums of leases by user, as counters."""

from __future__ import annotations

import pytest

from ds01.observe.accounting.totals import UserTotals, never_less, parse_totals, store_totals
from tests.accounting_harness import AccountingHarness
from tests.actions import create_container
from tests.harness import Harness

OLD = UserTotals("alice", "students", 1000, 100, 50, 400)


def stored(harness: Harness) -> tuple[UserTotals, ...]:
    assert store_totals(harness.context.ledger, harness.clock()) is None
    return parse_totals(harness.context.ledger.document("totals").read())


@pytest.fixture
def accounting(harness: Harness) -> AccountingHarness:
    return AccountingHarness(harness)


def test_open_and_ended_leases_add_up(accounting: AccountingHarness) -> None:
    harness, gate, alice = accounting.harness, accounting.harness.gate, accounting.harness.actor("alice")
    create_container(harness, "alice", start=True)
    harness.clock.advance(minutes=20)
    gate.stop(alice, "thesis._.70001")
    harness.clock.advance(minutes=10)
    accounting.tick()
    (totals,) = stored(harness)
    assert (totals.user, totals.leased, totals.held) == ("alice", 1800, 600)
    gate.release(alice, "thesis._.70001")
    accounting.tick(minutes=30)
    assert stored(harness)[0].leased == 1800


def test_a_small_step_back_is_none() -> None:
    new = UserTotals("alice", "students", 990, 130, 50, 400)
    assert never_less([new], [OLD]) == (UserTotals("alice", "students", 1000, 130, 50, 400),)


def test_a_lost_database_counts_from_the_beginning() -> None:
    new = UserTotals("alice", "students", 10, 0, 0, 0)
    assert never_less([new], [OLD]) == (new,)


def test_somebody_new_has_their_own() -> None:
    new = UserTotals("bob", "students", 10)
    assert never_less([new], [OLD]) == (new,)


def test_a_damaged_document_has_no_sums() -> None:
    good = {"user": "alice", "group": "students", "leased": 1, "held": 0, "idle": 0, "used": 0}
    assert parse_totals({"users": [3, {"user": "x"}, {**good, "leased": "many"}, good]}) == (
        UserTotals("alice", "students", 1, 0, 0, 0),
    )
    assert parse_totals({"users": 3}) == ()
