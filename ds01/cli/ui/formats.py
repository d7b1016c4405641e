"""Formats for people: times, durations, sizes, slots and errors. Pure, except for the server's time zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ds01.errors import Ds01Error
from ds01.gpus.slot_names import display_name
from ds01.policy.readable_times import DISTANT
from ds01.policy.readable_times import format_duration as format_duration
from ds01.policy.readable_times import format_local_time as format_local_time
from ds01.policy.units import readable_size
from ds01.system.clock import to_server_zone

if TYPE_CHECKING:
    from ds01.journal.notices import Notice
    from ds01.policy.model import Reservation


def format_error(error: Ds01Error) -> str:
    """Return an error in a few lines: what happened, why with the numbers, what to do."""
    lines = [f"Error: {_on_one_line(error.message)}", *(f"  {line}" for line in (error.why or "").splitlines())]
    if error.hint:
        lines.append("  → " + error.hint.replace("\n", "\n    "))
    return "\n".join(lines)


def describe_reservation(item: Reservation, now: datetime) -> str:
    """Return a reservation in one line: `0:0, 0:1 for @lab, from Tue 01 Dec 08:00 to Sat 05 Dec 18:00 (deadline)`."""
    holder = item.user or f"@{item.group}"
    start = "now" if item.start <= now else f"from {_format_date(item.start)}"
    reason = f" ({item.reason})" if item.reason else ""
    return f"{', '.join(item.slots)} for {holder}, {start} to {_format_date(item.end)}{reason}"


def _format_date(at: datetime) -> str:
    return to_server_zone(at).strftime("%a %d %b %Y %H:%M")


def format_event_time(at: datetime, now: datetime) -> str:
    """Return the time of an event in the server's zone, to the second; with the year if it is distant."""
    return to_server_zone(at).strftime("%d %b %H:%M:%S" if abs(now - at) < DISTANT else "%d %b %Y %H:%M")


def format_deadline(at: datetime, now: datetime) -> str:
    """Return a time, and how long it is until then."""
    return (
        f"{format_local_time(at, now)} ({format_duration(at - now)} left)" if at > now else format_local_time(at, now)
    )


def format_notice(notice: Notice) -> str:
    """Return a notice in one line."""
    text = " ".join(notice.text.splitlines())
    time = to_server_zone(notice.time).strftime("%a %d %b %H:%M")
    return f"[{time}] {text}" + (f" → `{notice.command}`" if notice.command else "")


def format_size(number: int | None) -> str:
    """Return a number of bytes as `1.2g`; a dash if it is unknown."""
    return "–" if number is None else readable_size(number)


def format_gpus(slots: Sequence[Any]) -> str:
    """Return slots in one line: `0:1 (2g.20gb)`, `0:1, was 0:0 (2g.20gb)`."""
    return ", ".join(f"{display_name(item)} ({item.profile})" if item.profile else display_name(item) for item in slots)


def gpus_as_subject(slots: Sequence[Any], singular: str, plural: str) -> str:
    """Return slots and their verb: `GPU 0 is`, `GPUs 1:0 (2g.10gb), 1:1 (2g.10gb) are`."""
    return f"GPU {format_gpus(slots)} {singular}" if len(slots) == 1 else f"GPUs {format_gpus(slots)} {plural}"


def short_name(container: str | None) -> str:
    """Return the owner's name for a container, from its full name."""
    return (container or "").partition("._.")[0]


def format_holder(user: str | None, container: str | None) -> str:
    """Return user and container as `alice (thesis)`."""
    return " ".join(filter(None, (user, f"({short_name(container)})" if container else None))) or "–"


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 error`, `2 errors`, `2 processes`."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"


def describe_ending_processes(count: int) -> str:
    """Return how many processes a stop will end, as a clause."""
    return f"{format_count(count, 'process')} will end"


def _on_one_line(text: str) -> str:
    """Return the text on one line: a line break in a typed name could forge a line of ds01's output."""
    return "".join(letter if letter.isprintable() else "?" for letter in text.strip())
