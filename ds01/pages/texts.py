"""Numbers and times as text or as elements of a page. Unknown is a word, never 0."""

from __future__ import annotations

from datetime import datetime, timedelta

from ds01.pages.markup import Element, element
from ds01.policy.readable_times import format_duration, format_full_time, format_local_time
from ds01.policy.units import readable_size
from ds01.system.data import format_time

UNKNOWN = "unknown"


def percent_text(percent: float | None) -> str:
    """Return a percentage as `45 %`."""
    return UNKNOWN if percent is None else f"{percent:.0f} %"


def size_text(size: int | None) -> str:
    """Return a number of bytes as `1.2g`."""
    return UNKNOWN if size is None else readable_size(size)


def count_text(number: int, noun: str) -> str:
    """Return a number with its noun: `1 GPU`, `2 GPUs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def short_model(model: str | None) -> str | None:
    """Return the model of a GPU without the maker, which all of them share."""
    return None if model is None else model.removeprefix("NVIDIA ")


def duration(span: timedelta) -> Element:
    """Return a duration that is not broken between its units."""
    return element("span", format_duration(span), class_="nowrap")


def moment(at: datetime, now: datetime) -> Element:
    """Return a time in the server's zone: short, next to `now`."""
    return element("time", format_local_time(at, now), datetime=format_time(at))


def full_moment(at: datetime) -> Element:
    """Return a time in the server's zone with date, year and zone."""
    return element("time", format_full_time(at), datetime=format_time(at))
