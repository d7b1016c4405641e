"""Slices: from any state, one application of any policy is enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ds01.host.slices import NO_LIMITS, applied, as_systemd_stores, plan_slices
from ds01.policy.model import SliceLimits

UNITS = st.sampled_from(["ds01.slice", "ds01-a.slice", "ds01-b.slice", "ds01-a-x.slice", "ds01-b-y.slice"])
SHARES = st.builds(
    SliceLimits,
    max_cpus=st.none() | st.floats(0.01, 8192),
    memory=st.none() | st.integers(6 << 20, 1 << 50),
    max_tasks=st.none() | st.integers(1, 4194304),
)
LIMITS = st.dictionaries(UNITS, SHARES)


@given(LIMITS, LIMITS)
def test_applying_the_plan_leaves_nothing_to_do(
    wanted: dict[str, SliceLimits], existing: dict[str, SliceLimits]
) -> None:
    after = applied(existing, plan_slices(wanted, existing))
    assert plan_slices(wanted, after) == []
    ours = {unit: share for unit, share in after.items() if unit != "ds01.slice"}
    assert ours == {
        unit: as_systemd_stores(share) for unit, share in wanted.items() if share != NO_LIMITS and unit != "ds01.slice"
    }


@given(LIMITS, LIMITS)
def test_matching_slices_are_not_changed(wanted: dict[str, SliceLimits], existing: dict[str, SliceLimits]) -> None:
    for change in plan_slices(wanted, existing):
        assert change.before != change.after
        assert change.before == existing.get(change.unit, NO_LIMITS)
        assert change.unit.startswith("ds01-")
