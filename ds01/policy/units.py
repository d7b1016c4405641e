"""Parse and format durations, sizes, numbers and times, for the policy and the command line.

Every parser returns exactly what the text says, or raises InvalidValue (a ValueError).
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo

DURATION_FORM = "a number with its unit, s, m, h, d or w, like 48h or 0.5h"
SIZE_FORM = "a number with its unit, b, k, m, g or t, like 32g or 1.5g"
TIME_FORM = "a date like 2027-03-31, or a time with its zone like 2026-12-01T08:00Z or 2026-12-01T09:00+01:00"

# Anything longer is a mistake, and adding it to `now` could leave the calendar.
MAX_DURATION = timedelta(days=36500)
MAX_INTEGER = 2**63 - 1  # Docker's and the kernel's counts are signed 64-bit numbers

_SECOND = 1_000_000  # in microseconds, the step of timedelta
_DURATIONS = {"s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "d": 86400 * _SECOND, "w": 604800 * _SECOND}
_SIZES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

_WHOLE = r"0|[1-9][0-9]{0,18}"
_QUANTITY = re.compile(rf"({_WHOLE})(?:\.([0-9]{{1,9}}))?([A-Za-z]*)")
DURATION_PATTERN = rf"^({_WHOLE})(\.[0-9]{{1,9}})?[{''.join(_DURATIONS)}]$"
SIZE_PATTERN = rf"^({_WHOLE})(\.[0-9]{{1,9}})?[{''.join(_SIZES)}{''.join(_SIZES).upper()}]$"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
_TIME = re.compile(rf"({_DATE.pattern}T{_CLOCK})(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])")
TIME_PATTERN = f"^({_DATE.pattern}|{_TIME.pattern})$"


class InvalidValue(ValueError):
    """A text in no documented form: `problem` says what is wrong, `allowed` what is accepted."""

    def __init__(self, problem: str, allowed: str) -> None:
        super().__init__(f"{problem}; allowed: {allowed}")
        self.problem = problem
        self.allowed = allowed


def quote_text(text: str) -> str:
    """Quote `text` for one line of a message: shortened, and without control characters."""
    short = text if len(text) <= 60 else text[:57] + "..."
    return f"`{short}`" if short.isprintable() else f"`{ascii(short)[1:-1]}`"


def parse_duration(text: str) -> timedelta:
    """Parse `48h`, `30m`, `0.5h`: one number and one unit of s, m, h, d (24 hours), w (7 days); at most 100 years."""
    span = timedelta(microseconds=min(_parse_amount(text, _DURATIONS, DURATION_FORM), MAX_INTEGER))
    if span > MAX_DURATION:
        raise InvalidValue(
            f"{quote_text(text)} is more than 100 years", f"{DURATION_FORM}, up to {format_duration(MAX_DURATION)}"
        )
    return span


def parse_size(text: str) -> int:
    """Parse `32g`, `512m`, `10k`, `1.5G` to bytes: one number and one unit, powers of 1024 as for Docker."""
    size = _parse_amount(text, {**_SIZES, **{unit.upper(): factor for unit, factor in _SIZES.items()}}, SIZE_FORM)
    if size > MAX_INTEGER:
        raise InvalidValue(f"{quote_text(text)} is too large", f"{SIZE_FORM}, below {MAX_INTEGER + 1 >> 40}t")
    return size


def parse_integer(text: str, least: int = 0, most: int = MAX_INTEGER) -> int:
    """Parse a whole number in plain decimal digits without leading zeros, from `least` to `most`."""
    allowed = f"a whole number {_range(least, most)}"
    if re.fullmatch(_WHOLE, text) is None:
        raise InvalidValue(f"{quote_text(text)} is {_negative_note(text) or 'not a whole number'}", allowed)
    return int(_require_range(text, int(text), least, most, allowed))


def parse_number(text: str, least: float = 0, most: float = MAX_INTEGER) -> float:
    """Parse a number in plain decimal digits with up to six decimals, from `least` to `most`."""
    allowed = f"a number {_range(least, most)}"
    if re.fullmatch(rf"({_WHOLE})(\.[0-9]{{1,6}})?", text) is None:
        raise InvalidValue(f"{quote_text(text)} is {_negative_note(text) or 'not a number'}", allowed)
    return _require_range(text, float(text), least, most, allowed)


def parse_time(text: str, zone: tzinfo, *, day_begins: bool = False) -> datetime:
    """Parse a time to UTC.

    A date alone is the last microsecond of that day in `zone`, or with `day_begins` its first.
    """
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            if day_begins:
                return _start_of_day(day, zone)
            return _start_of_day(day + timedelta(days=1), zone) - timedelta(microseconds=1)
        found = _TIME.fullmatch(text)
        if found is None:
            raise InvalidValue(f"{quote_text(text)} is not a date, nor a time with its zone", TIME_FORM)
        clock, dot, parts = found[1].partition(".")
        if dot:  # Python before 3.11 accepts exactly three or six decimals
            clock += f".{parts.ljust(6, '0')}"
        offset = "+00:00" if found[2] == "Z" else found[2]
        return datetime.fromisoformat(clock + offset).astimezone(timezone.utc)
    except InvalidValue:
        raise
    except (ValueError, OverflowError, OSError) as error:  # 31 February, hour 25, or before year 1
        raise InvalidValue(f"{quote_text(text)} is not in the calendar", TIME_FORM) from error


def format_duration(span: timedelta) -> str:
    """Format a duration in its largest exact unit, up to hours: `48h`, `90m`, `0.5s`, `0s`."""
    count = span // timedelta(microseconds=1)
    if count < 0:
        raise ValueError("a duration is not negative")
    for unit in ("h", "m", "s"):
        if count % _DURATIONS[unit] == 0 and count:
            return f"{count // _DURATIONS[unit]}{unit}"
    return f"{count // _SECOND}.{count % _SECOND:06}".rstrip("0").rstrip(".") + "s"


def format_size(size: int) -> str:
    """Format bytes in their largest exact unit, to be parsed again: `64g`, `1536m`, `0b`."""
    if size < 0:
        raise ValueError("a size is not negative")
    for unit in ("t", "g", "m", "k"):
        if size % _SIZES[unit] == 0 and size:
            return f"{size // _SIZES[unit]}{unit}"
    return f"{size}b"


def readable_size(size: int, places: int = 1) -> str:
    """Format bytes for people: `64g`, `23.5g`, `512m`, `0b`; rounded, so not for Docker."""
    if size < 0:
        raise ValueError("a size is not negative")
    value = float(size)
    for unit in ("b", "k", "m", "g"):
        rounded = round(value, places)
        if rounded < 1024:
            return f"{format_number(rounded)}{unit}"
        value /= 1024
    return f"{format_number(round(value, places))}t"


def readable_sizes(*sizes: int) -> tuple[str, ...]:
    """Format sizes that a message compares, with enough decimals to tell them apart."""
    for places in range(1, 5):
        texts = tuple(readable_size(size, places) for size in sizes)
        if len(set(texts)) == len(set(sizes)):
            return texts
    return tuple(format_size(size) for size in sizes)


def format_number(value: float) -> str:
    """Format a number without an exponent or a needless `.0`: `16`, `1.5`."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _parse_amount(text: str, units: dict[str, int], form: str) -> int:
    """Return the number times its unit. Inexact results are refused, not rounded."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise InvalidValue(f"{quote_text(text)} is {_negative_note(text) or 'not in a documented form'}", form)
    whole, places, unit = found[1], found[2] or "", found[3]
    if not unit:
        raise InvalidValue(f"{quote_text(text)} has no unit", form)
    if unit not in units:
        raise InvalidValue(f"{quote_text(text)}: {quote_text(unit)} is not a unit here", form)
    scale: int = 10 ** len(places)
    count, rest = divmod(int(whole + places) * units[unit], scale)
    if rest:
        raise InvalidValue(f"{quote_text(text)} is not exact", f"{form}; use a smaller unit")
    return count


def _negative_note(text: str) -> str:
    """Return the message for a negative quantity, which is never allowed."""
    return "too small: less than 0" if text[:1] == "-" and _QUANTITY.fullmatch(text[1:]) else ""


def _range(least: float, most: float) -> str:
    first = format_number(least)
    return f"from {first}" if most >= MAX_INTEGER else f"from {first} to {format_number(most)}"


def _require_range(text: str, value: float, least: float, most: float, allowed: str) -> float:
    if not least <= value <= most:
        raise InvalidValue(f"{quote_text(text)} is too {'small' if value < least else 'large'}", allowed)
    return value


def _start_of_day(day: date, zone: tzinfo) -> datetime:
    # Where the clocks skip midnight, the day begins at the change.
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(timezone.utc)
