"""The server's time zone comes from /etc/localtime, never from the caller's TZ."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ds01.system import clock
from ds01.system.clock import read_zone

ZONES = Path("/usr/share/zoneinfo")
SUMMER = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)

needs_zones = pytest.mark.skipif(not (ZONES / "Europe/Berlin").exists(), reason="this system has no time zones")


@needs_zones
def test_a_zone_is_read_from_its_file() -> None:
    assert SUMMER.astimezone(read_zone(ZONES / "Europe/Berlin")).utcoffset() == timedelta(hours=2)


@needs_zones
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "localtime").symlink_to(ZONES / "Asia/Tokyo")
    assert SUMMER.astimezone(read_zone(tmp_path / "localtime")).hour == 21


@pytest.mark.parametrize("content", [b"", b"TZif", b"TZif2" + b"\xff" * 60, b"Europe/Berlin\n", None])
def test_zone_is_utc_without_a_usable_file(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "localtime"
    if content is not None:
        path.write_bytes(content)
    assert SUMMER.astimezone(read_zone(path)).utcoffset() == timedelta(0)


def test_directory_in_place_of_a_zone_means_utc(tmp_path: Path) -> None:
    assert read_zone(tmp_path) is timezone.utc


@needs_zones
def test_times_are_shown_in_the_servers_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "server_zone", lambda: read_zone(ZONES / "America/New_York"))
    assert clock.to_server_zone(SUMMER).hour == 8
