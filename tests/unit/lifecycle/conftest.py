"""The gate, asked directly and through a JSON wire: the same must hold on both."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bed import Bed
from tests.client import WireClient


@pytest.fixture(params=["direct", "wire"])
def gate(request: pytest.FixtureRequest, bed: Bed) -> Any:
    return bed.gate if request.param == "direct" else WireClient(bed.context)
