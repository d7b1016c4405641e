"""The dashboard's sample, in a server that is in UTC."""

from __future__ import annotations

from datetime import timezone

import pytest

from ds01.cli.dashboard.sample import Sample
from ds01.system import clock
from tests.harness import Harness
from tests.unit.cli.dashboard.server_sample import server_sample


@pytest.fixture
def sample(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Sample:
    monkeypatch.setattr(clock, "server_zone", lambda: timezone.utc)
    return server_sample(harness)
