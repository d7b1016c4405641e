"""The gate, called directly and through JSON: the same must hold for both."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import WireClient
from tests.harness import Harness


@pytest.fixture(params=["direct", "wire"])
def gate(request: pytest.FixtureRequest, harness: Harness) -> Any:
    return harness.gate if request.param == "direct" else WireClient(harness.context)
