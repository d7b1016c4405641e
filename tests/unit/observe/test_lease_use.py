"""Advice through the gate, from the accounting that ticks wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ds01.api.seeing.operations import GetServerView
from ds01.errors import NotFound
from ds01.gpus.simulated import SimulatedInventory
from ds01.observe.accounting.lease_use import read_lease_use
from tests.accounting_harness import AccountingHarness
from tests.harness import NOON, Harness

ALICE_THESIS = "thesis._.70001"


@pytest.fixture
def bed(harness: Harness) -> AccountingHarness:
    found = AccountingHarness(harness)
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=1))
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    return found


def use_memory(bed: AccountingHarness, size: int) -> None:
    observed = bed.harness.inventory.observe()
    slots = tuple(replace(slot, memory_used_bytes=size) for slot in observed.slots)
    bed.harness.inventory = SimulatedInventory(replace(observed, slots=slots))


def ticks(bed: AccountingHarness, count: int) -> None:
    for _ in range(count):
        bed.tick(minutes=5)


def test_use_is_the_mean_and_the_peak_since_the_lease_began(bed: AccountingHarness) -> None:
    record = bed.harness.record("alice")
    assert record.lease is not None
    slot = f"slot_{record.lease.slots[0].slot.replace(':', '_')}"
    ticks(bed, 1)
    for percent, memory in ((20.0, 1 << 30), (40.0, 3 << 30)):
        bed.set_gpus(**{slot: percent})
        use_memory(bed, memory)
        ticks(bed, 1)
    (use,) = read_lease_use(bed.path, record.id, NOON).values()
    assert (use.samples, use.utilisation_percent, use.peak_memory_bytes) == (2, 30.0, 3 << 30)
    assert use.measured.total_seconds() == 600
    (use,) = read_lease_use(bed.path, record.id, NOON + timedelta(minutes=10)).values()
    assert (use.samples, use.utilisation_percent) == (1, 40.0), "only the last one began after that"


def test_advice_begins_with_ten_measurements(bed: AccountingHarness) -> None:
    alice = bed.harness.actor("alice")
    bed.set_gpus(slot_1_0=0.0)
    ticks(bed, 10)
    assert bed.harness.gate.advice(alice, ALICE_THESIS) is None
    ticks(bed, 1)
    found = bed.harness.gate.advice(alice, ALICE_THESIS)
    assert found is not None and found.cpu_only and found.utilisation_percent == 0
    (usage,) = bed.harness.gate.usage(alice, (ALICE_THESIS,))
    assert usage.advice == found


def test_an_earlier_lease_does_not_count(bed: AccountingHarness) -> None:
    alice = bed.harness.actor("alice")
    bed.set_gpus(slot_1_0=0.0)
    ticks(bed, 12)
    bed.harness.gate.stop(alice, ALICE_THESIS, release=True)
    assert bed.harness.gate.advice(alice, ALICE_THESIS) is None
    bed.harness.gate.start(alice, ALICE_THESIS)
    ticks(bed, 2)
    assert bed.harness.gate.advice(alice, ALICE_THESIS) is None


def test_without_a_database_or_with_a_broken_one_nothing_is_said(bed: AccountingHarness) -> None:
    alice = bed.harness.actor("alice")
    bed.set_gpus(slot_1_0=0.0)
    ticks(bed, 12)
    for content in (b"broken", None):
        bed.path.unlink()
        if content is not None:
            bed.path.write_bytes(content)
        assert bed.harness.gate.advice(alice, ALICE_THESIS) is None


def test_advice_on_containers_of_others_is_refused(bed: AccountingHarness) -> None:
    with pytest.raises(NotFound):
        bed.harness.gate.advice(bed.harness.actor("bob"), ALICE_THESIS)


def test_the_view_of_the_server_says_what_was_used_of_each_lease(bed: AccountingHarness) -> None:
    boss = bed.harness.actor("boss")
    bed.set_gpus(slot_1_0=0.0)
    assert {slot.used_percent for slot in bed.harness.gate.run(boss, GetServerView()).slots} == {None}
    ticks(bed, 2)
    bed.set_gpus(slot_1_0=40.0)
    ticks(bed, 1)
    used = {slot.slot: slot.used_percent for slot in bed.harness.gate.run(boss, GetServerView()).slots}
    assert used == {"0": None, "1:0": 20.0, "1:1": None, "1:2": None}


def test_the_view_leaves_out_earlier_leases_and_old_measurements(bed: AccountingHarness) -> None:
    alice, boss = bed.harness.actor("alice"), bed.harness.actor("boss")
    bed.set_gpus(slot_1_0=90.0)
    ticks(bed, 3)
    bed.harness.gate.stop(alice, ALICE_THESIS, release=True)
    bed.harness.gate.start(alice, ALICE_THESIS)
    bed.set_gpus(slot_1_0=10.0)
    ticks(bed, 2)
    found = bed.harness.gate.run(boss, GetServerView()).slots
    assert {slot.used_percent for slot in found if slot.user == "alice"} == {10.0}


def test_the_view_is_shown_although_the_database_is_broken(bed: AccountingHarness) -> None:
    ticks(bed, 2)
    bed.path.write_bytes(b"broken")
    slots = bed.harness.gate.run(bed.harness.actor("boss"), GetServerView()).slots
    assert {slot.used_percent for slot in slots} == {None} and len(slots) == 4
