"""Convert values of old policies. Each function takes the old text and raises InvalidValue if it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone, tzinfo

from ds01.policy.units import InvalidValue, format_duration, format_number, parse_number, parse_time, quote_text

NULL = "null"
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKmMgGtT]?)(?:i?[bB])?")


def keep_value(text: str) -> str:
    """Return a value whose form has not changed."""
    return text


def convert_flag(text: str) -> str:
    """Return `true` or `false` for any boolean word of YAML 1.1."""
    return {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower(), text.lower())


def convert_slots(text: str) -> str:
    """Return a number of slots: `all` becomes no limit, and less than one GPU becomes one slot."""
    if text == "all":
        return NULL
    number = parse_number(text)
    return str(int(number) if number >= 1 or number == 0 else 1)


def convert_size(text: str) -> str:
    """Return a size with a current unit; `32G`, `32GB` and `34359738368` are all accepted."""
    found = _BYTES.fullmatch(text)
    if found is None:
        raise InvalidValue(f"{quote_text(text)} is not a size", "a number with its unit, like 32g")
    return f"{found[1]}{found[2].lower() or 'b'}"


def convert_percent(text: str) -> str:
    """Return cores from systemd's CPUQuota: `9600%` is 96."""
    return format_number(parse_number(text.removesuffix("%").strip()) / 100)


def convert_hours(text: str) -> str:
    """Return a duration from a number of hours."""
    return _duration(text, timedelta(hours=1))


def convert_minutes(text: str) -> str:
    """Return a duration from a number of minutes."""
    return _duration(text, timedelta(minutes=1))


def convert_seconds(text: str) -> str:
    """Return a duration from a number of seconds."""
    return _duration(text, timedelta(seconds=1))


def convert_slot_name(text: str) -> str:
    """Return the name of a slot: ds01-infra wrote MIG instance 1 of GPU 0 as `0.1` or `0:1`."""
    return text.replace(".", ":")


def convert_time(text: str, zone: tzinfo) -> str:
    """Return a time in the policy's form. Without a zone it is in `zone`; a date alone stays a date."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        parse_time(text, zone)
        return text
    try:
        when = datetime.fromisoformat(text.strip().replace(" ", "T").replace("Z", "+00:00"))
    except ValueError as error:
        raise InvalidValue(f"{quote_text(text)} is not a time", "a date, or a time") from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone)
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


CONVERTERS: Mapping[str, Callable[[str], str]] = {
    "same": keep_value,
    "flag": convert_flag,
    "slots": convert_slots,
    "size": convert_size,
    "percent": convert_percent,
    "hours": convert_hours,
    "minutes": convert_minutes,
    "seconds": convert_seconds,
}


def _duration(text: str, unit: timedelta) -> str:
    return format_duration(timedelta(seconds=round(parse_number(text) * unit.total_seconds(), 3)))
