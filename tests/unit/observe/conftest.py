"""The automation on a bed of its own."""

from __future__ import annotations

import pytest

from tests.harness import Harness
from tests.tick_harness import TickHarness


@pytest.fixture
def ticker(harness: Harness) -> TickHarness:
    """Idle after 10 hours, with warnings after 8."""
    harness.set_policy(
        "defaults: {max_mig_instances: 2, max_gpus_per_container: 2, idle_timeout: 10h, gpu_hold_after_stop: 2h,\n"
        "           container_hold_after_stop: 20h, max_extension: 6h}\n"
        "groups: {admins: {members: [boss], admin: true, max_mig_instances: null}}\n"
    )
    return TickHarness(harness)
