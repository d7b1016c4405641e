"""Times and durations for people, in the server's time zone whatever the caller's TZ says."""

from __future__ import annotations

from datetime import datetime, timedelta

from ds01.system.clock import to_server_zone

DISTANT = timedelta(days=300)  # dates further away are shown with the year


def format_local_time(at: datetime, now: datetime) -> str:
    """Return a time in the server's zone: the hour if it is today, else with the day, and the year if it is distant."""
    local_time, today = to_server_zone(at), to_server_zone(now)
    if local_time.date() == today.date():
        return local_time.strftime("%H:%M")
    return local_time.strftime("%a %d %b %H:%M" if abs(local_time - today) < DISTANT else "%a %d %b %Y %H:%M")


def format_full_time(at: datetime) -> str:
    """Return a time in the server's zone with date, year, and zone: `Mon 30 Nov 2026 13:00 CET (UTC+01:00)`."""
    local_time = to_server_zone(at)
    name = local_time.strftime("%Z")
    digits = local_time.strftime("%z") or "+0000"
    offset = f"UTC{digits[:3]}:{digits[3:5]}"
    text = local_time.strftime("%a %d %b %Y %H:%M")
    if name == "UTC":
        return f"{text} UTC"
    return f"{text} {name} ({offset})" if name.isalpha() else f"{text} {offset}"  # some zones are named by numbers


def format_duration(duration: timedelta) -> str:
    """Return a duration in its two largest units, rounded: `3d 4h`, `2h 5m`, `12m`, `40s`."""
    seconds = max(0, round(duration.total_seconds()))
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds}s"
    if minutes < 60:
        return f"{minutes}m"
    (first, second), (whole, rest) = ("hm", divmod(minutes, 60)) if minutes < 1440 else (
        "dh", divmod(round(minutes / 60), 24)
    )  # fmt: skip
    return f"{whole}{first} {rest}{second}" if rest else f"{whole}{first}"
