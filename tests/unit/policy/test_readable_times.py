"""Times for people: in the server's zone, and with its name where a reader may be elsewhere."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from ds01.policy import readable_times
from ds01.policy.readable_times import format_duration, format_full_time

SUMMER = datetime(2026, 7, 1, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (timezone.utc, "Wed 01 Jul 2026 12:00 UTC"),
        (ZoneInfo("Europe/Berlin"), "Wed 01 Jul 2026 14:00 CEST (UTC+02:00)"),
        (ZoneInfo("Asia/Kathmandu"), "Wed 01 Jul 2026 17:45 UTC+05:45"),
        (ZoneInfo("America/St_Johns"), "Wed 01 Jul 2026 09:30 NDT (UTC-02:30)"),
    ],
)
def test_a_full_time_names_its_zone(zone: tzinfo, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable_times, "to_server_zone", lambda when: when.astimezone(zone))
    assert format_full_time(SUMMER) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (3599, "1h"), (7500, "2h 5m"), (273600, "3d 4h")]
)
def test_durations_have_two_units(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
