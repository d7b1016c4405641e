"""The words for data: times, durations, sizes, slots, refusals and errors. Pure, but for the server's time zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ds01.api.refusals import refusal_of, ways_out_of
from ds01.cli.advice import offer, typeable
from ds01.errors import Ds01Error
from ds01.gpus.slot_names import display_name
from ds01.policy.units import readable_size
from ds01.system.clock import to_server_zone

if TYPE_CHECKING:
    from ds01.journal.notices import Notice
    from ds01.policy.model import Reservation

DISTANT = timedelta(days=300)  # from there on a date needs its year


def worded(error: Ds01Error, now: datetime, *, login: str | None = None) -> Ds01Error:
    """Return an error from the gate in words for the command at hand: a refusal's data, and hints as typed here.

    `login`: the caller's, for hints at what an administrator types for them.
    """
    message, why, hint = error.message, error.why, error.hint
    refusal = None if error.is_worded else refusal_of(error)
    if refusal is not None:
        from ds01.cli.refusals import describe_refusal

        message, why, hint = describe_refusal(refusal, now, offer(), ways_out_of(error))
    hint = None if hint is None else typeable(hint, login=login)
    if (message, why, hint) == (error.message, error.why, error.hint):
        return error
    return error.reworded(message, why=why, hint=hint)


def describe_error(error: Ds01Error) -> str:
    """An error in a few lines: what happened, why with the numbers, what to do."""
    lines = [f"Error: {_one_line(error.message)}", *(f"  {line}" for line in (error.why or "").splitlines())]
    if error.hint:
        lines.append("  → " + error.hint.replace("\n", "\n    "))
    return "\n".join(lines)


def when(at: datetime, now: datetime) -> str:
    """Return a time for people, in the server's zone: today's by the hour, others with the day or the year too."""
    there, today = to_server_zone(at), to_server_zone(now)
    if there.date() == today.date():
        return there.strftime("%H:%M")
    return there.strftime("%a %d %b %H:%M" if abs(there - today) < DISTANT else "%a %d %b %Y %H:%M")


def describe_reservation(item: Reservation, now: datetime) -> str:
    """Return a reservation in one line: `0:0, 0:1 for @lab, from Tue 01 Dec 08:00 to Sat 05 Dec 18:00 (deadline)`."""
    whom = item.user or f"@{item.group}"
    start = "now" if item.start <= now else f"from {_day(item.start)}"
    reason = f" ({item.reason})" if item.reason else ""
    return f"{', '.join(item.slots)} for {whom}, {start} to {_day(item.end)}{reason}"


def _day(at: datetime) -> str:
    return to_server_zone(at).strftime("%a %d %b %Y %H:%M")


def moment(at: datetime, now: datetime) -> str:
    """A time for people, and how long until then."""
    return f"{when(at, now)} ({span(at - now)} left)" if at > now else when(at, now)


def span(duration: timedelta) -> str:
    """A length of time in its two largest units, rounded: `3d 4h`, `2h 5m`, `12m`, `40s`."""
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


def notice_line(notice: Notice) -> str:
    """A notice for people, in one line."""
    text = " ".join(notice.text.splitlines())
    when = to_server_zone(notice.time).strftime("%a %d %b %H:%M")
    return f"[{when}] {text}" + (f" → `{notice.command}`" if notice.command else "")


def size(number: int | None) -> str:
    """Return bytes in the one form for people, `1.2g`; a dash if they are unknown."""
    return "–" if number is None else readable_size(number)


def gpu_names(slots: Sequence[Any]) -> str:
    """Return slots for people: `0:1 (2g.20gb)`, `0:1, was 0:0 (2g.20gb)`."""
    return ", ".join(f"{display_name(item)} ({item.profile})" if item.profile else display_name(item) for item in slots)


def gpus_as_subject(slots: Sequence[Any], one: str, many: str) -> str:
    """Return slots and their verb: `GPU 0 is`, `GPUs 1:0 (2g.10gb), 1:1 (2g.10gb) are`."""
    return f"GPU {gpu_names(slots)} {one}" if len(slots) == 1 else f"GPUs {gpu_names(slots)} {many}"


def short(container: str | None) -> str:
    """The name that people use, of a container's full one."""
    return (container or "").partition("._.")[0]


def who(user: str | None, container: str | None) -> str:
    """Who has something: `alice (thesis)`."""
    return " ".join(filter(None, (user, f"({short(container)})" if container else None))) or "–"


def counted(number: int, noun: str) -> str:
    """A number of things: `1 error`, `2 errors`, `2 processes`."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"


def processes(count: int) -> str:
    """How many processes end with a stop."""
    return f"{counted(count, 'process')} will end"


def _one_line(text: str) -> str:
    """A text with what was typed in it, on one line: a line break in a name would look like a line of ours."""
    return "".join(letter if letter.isprintable() else "?" for letter in text.strip())
