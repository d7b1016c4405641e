"""Advice on leases of which little is used: only with enough measurements, and only what would really do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.observe import advice as rules
from ds01.observe.advice import Offer, SlotUse, advise

GIB = 1 << 30
USE = SlotUse("0", 7, 60, timedelta(hours=5), 3.0, 4 * GIB)
SMALL, MEDIUM = Offer("1g.10gb", 1, 10 * GIB), Offer("2g.20gb", 2, 20 * GIB)


def test_a_smaller_slot_is_advised_the_smallest_that_has_room() -> None:
    found = advise([USE], [MEDIUM, SMALL])
    assert found is not None and (found.profile, found.count, found.cpu_only) == ("1g.10gb", None, False)
    assert (found.slots, found.utilisation_percent, found.measured) == (1, 3.0, timedelta(hours=5))


@pytest.mark.parametrize(
    ("use", "profile"),
    [
        (replace(USE, peak_memory_bytes=9 * GIB), "2g.20gb"),  # too much for 10 GiB, with room to spare
        (replace(USE, utilisation_percent=10.0), "2g.20gb"),  # 70 % of a seventh
        (replace(USE, peak_memory_bytes=30 * GIB), None),
        (replace(USE, peak_memory_bytes=None), None),
        (replace(USE, slices=None), None),
        (replace(USE, slices=1), None),
    ],
)
def test_what_does_not_fit_is_not_advised(use: SlotUse, profile: str | None) -> None:
    found = advise([use], [SMALL, MEDIUM])
    assert found is not None and found.profile == profile


@pytest.mark.parametrize(
    "use",
    [replace(USE, samples=9), replace(USE, utilisation_percent=None), replace(USE, utilisation_percent=15.0)],
)
def test_nothing_is_said_about_too_few_measurements_or_enough_use(use: SlotUse) -> None:
    assert advise([use], [SMALL]) is None
    assert advise([], [SMALL]) is None


def test_a_gpu_that_nothing_used_needs_none() -> None:
    unused = replace(USE, utilisation_percent=0.2, peak_memory_bytes=0)
    found = advise([unused], [SMALL])
    assert found is not None and (found.cpu_only, found.profile) == (True, None)
    full_memory = replace(unused, peak_memory_bytes=20 * GIB)  # something lies there, and may be a server that waits
    found = advise([full_memory], [])
    assert found is not None and not found.cpu_only


def test_of_several_slots_those_that_were_used_would_do() -> None:
    busy, unused = replace(USE, utilisation_percent=90.0), replace(USE, utilisation_percent=0.0, peak_memory_bytes=0)
    found = advise([busy, unused, unused], [SMALL])
    assert found is not None and (found.count, found.profile, found.cpu_only) == (1, None, False)
    assert advise([busy, replace(unused, samples=9)], []) is None
    assert advise([busy, USE], [SMALL]) is None, "both were used"


uses = st.builds(
    SlotUse,
    slot=st.just("0"),
    slices=st.none() | st.integers(1, 7),
    samples=st.integers(0, 30),
    measured=st.timedeltas(timedelta(0), timedelta(days=30)),
    utilisation_percent=st.none() | st.floats(0, 100),
    peak_memory_bytes=st.none() | st.integers(0, 80 * GIB),
)
offers = st.builds(
    Offer, profile=st.sampled_from(["1g.10gb", "2g.20gb", "3g.40gb"]), slices=st.integers(1, 7),
    memory_bytes=st.integers(GIB, 80 * GIB),
)  # fmt: skip


@given(st.lists(uses, max_size=4), st.lists(offers, max_size=4))
def test_an_advice_always_leaves_room_for_what_was_done(used: list[SlotUse], offered: list[Offer]) -> None:
    found = advise(used, offered)
    if found is None:
        return
    assert found.slots == len(used) and all(use.samples >= rules.LEAST_SAMPLES for use in used)
    assert (found.profile is not None) + (found.count is not None) + found.cpu_only <= 1
    if found.cpu_only:
        assert all((use.peak_memory_bytes or 0) <= rules.UNUSED_MEMORY for use in used)
        assert found.utilisation_percent < rules.UNUSED
    if found.count is not None:
        assert 0 < found.count < len(used)
    if found.profile is not None:
        (use,) = used
        assert any(
            offer.profile == found.profile
            and offer.slices < (use.slices or 0)
            and offer.memory_bytes >= (use.peak_memory_bytes or 0) * rules.MEMORY_ROOM
            and (use.utilisation_percent or 0) * (use.slices or 0) <= rules.MOST_ON_SMALLER * offer.slices
            for offer in offered
        )
