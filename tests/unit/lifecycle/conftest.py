"""The gate, asked directly and through a JSON wire: the same must hold on both."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import WireClient
from tests.harness import Harness


@pytest.fixture(params=["direct", "wire"])
def gate(request: pytest.FixtureRequest, harness: Harness) -> Any:
    return harness.gate if request.param == "direct" else WireClient(harness.context)
