"""The words for data: times, durations, sizes, slots, refusals and errors. Pure, but for the server's time zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ds01.errors import Ds01Error
from ds01.gpus.model import Claim, GpuRequest, GpuType, Refusal, Rule
from ds01.gpus.naming import called
from ds01.system.clock import local
from ds01.system.data import from_json

if TYPE_CHECKING:
    from ds01.journal.notices import Notice
    from ds01.policy.model import Reservation


def worded(error: Ds01Error, now: datetime) -> Ds01Error:
    """An error from the gate, with words in place of a refusal's data."""
    data = (error.data or {}).get("refusal")
    if data is None:
        return error
    message, why, hint = describe_refusal(from_json(Refusal, data), now)
    return type(error)(message, why=why, hint=hint, data=error.data)


def describe_error(error: Ds01Error) -> str:
    """An error in a few lines: what happened, why with the numbers, what to do."""
    lines = [f"Error: {_one_line(error.message)}", *(f"  {line}" for line in (error.why or "").splitlines())]
    if error.hint:
        lines.append("  → " + error.hint.replace("\n", "\n    "))
    return "\n".join(lines)


def describe_refusal(refusal: Refusal, now: datetime) -> tuple[str, str | None, str | None]:
    """A refusal as message, why and hint."""
    asked, rule = _slots(refusal.asked), refusal.rule
    why = describe_claims(refusal.claims, now) or None
    if rule is Rule.QUOTA:
        message = f"your quota is {_slots(refusal.limit)} ({rule.value})"
        used = f"you have {refusal.used}, and asked for {refusal.asked} more"
        # What only waits is the easiest to give back.
        first = min(refusal.claims, key=lambda claim: claim.state != "held", default=None)
        name = short(first.container if first else None) or "NAME"
        return message, "\n".join(filter(None, (used, why))), f"`container-retire {name}` gives one back at once"
    if rule is Rule.PER_CONTAINER:
        message = f"one container may have {_slots(refusal.limit)} ({rule.value})"
        return message, f"{refusal.asked} were asked for", "ask for fewer with --gpus, or ask an administrator"
    if rule is Rule.FULL_GPU:
        return "whole GPUs are not for you (allow_full_gpu)", why, "--gpu-type mig asks for a MIG instance"
    if rule is Rule.CONTAINERS:
        message = f"you have {refusal.used} of {refusal.limit} containers ({rule.value})"
        return message, why, "`container-cleanup` finds the stopped ones, `container-retire NAME` ends one"
    if rule is Rule.NO_GPUS:
        message = f"this server cannot give {asked} of that kind"
        return message, f"it has {refusal.limit or 0} at most", "`ds01 gpu status` shows what there is"
    if rule is Rule.LOST:
        return "the GPU of this container is gone", why, "container-start NAME --recreate makes it anew on another one"
    message, why = describe_none_free(refusal, now)
    hint = "--wait stands in line for one; `ds01 gpu status` shows all of them"
    if refusal.earliest is not None:
        hint = f"the first comes free at {when(refusal.earliest, now)} at the latest; " + hint
    return message, why, hint


def describe_none_free(refusal: Refusal, now: datetime) -> tuple[str, str | None]:
    """Return the refusal of what is not free now as message and why."""
    lines = []
    message = "no GPU is free now"
    if refusal.asked > 1:
        message = f"no {_slots(refusal.asked)} of one kind are free now"
        lines.append(f"{refusal.asked} of one kind are needed; free now: {gpu_names(refusal.free) or 'none'}")
    elif refusal.free:
        message = "no GPU of that kind is free now"
        lines.append(f"free now, of another kind: {gpu_names(refusal.free)}")
    return message, "\n".join(filter(None, (*lines, describe_claims(refusal.claims, now)))) or None


def describe_missing(refusal: Refusal, request: GpuRequest, kinds: Mapping[str, int]) -> tuple[str, str, str]:
    """The refusal of what the server does not have, as message, why and hint. `kinds`: how many slots there are of
    each MIG profile, and of whole GPUs under `full`.
    """
    words = {GpuType.MIG: " on MIG instances", GpuType.FULL: ", whole ones", GpuType.ANY: " of one kind"}[request.type]
    kind = f" with the profile {request.profile}" if request.profile is not None else words
    there = [f"{count} {'whole' if name == 'full' else f'of {name}'}" for name, count in kinds.items()]
    why = f"it has {refusal.limit or 0} of these; in all: {', '.join(there) or 'none'}"
    profiles = [name for name in kinds if name != "full"]
    hint = "`ds01 gpu status` shows what there is"
    if request.profile is not None and profiles and request.profile.casefold() not in profiles:
        hint = f"--profile {profiles[0]}, or leave it out; {hint}"
    return f"this server cannot give {_slots(refusal.asked)}{kind}", why, hint


def describe_end_of_wait(refusal: Refusal, waited: str, now: datetime) -> tuple[str, str | None, str]:
    """The refusal when the time to wait is over, as message, why and hint; `waited` as it was typed."""
    hint = "wait longer, or with --wait until it is your turn; `ds01 gpu status` shows all of them"
    if refusal.earliest is not None:
        hint = f"the first comes free at {when(refusal.earliest, now)} at the latest; " + hint
    what = "no GPU came free" if refusal.asked == 1 else f"{_slots(refusal.asked)} of one kind were never free at once"
    return f"the time to wait, {waited}, is over, and {what}", describe_claims(refusal.claims, now) or None, hint


def describe_claims(claims: Sequence[Claim], now: datetime) -> str:
    """Who has what until when, a line each, in columns."""
    rows = []
    for claim in claims:
        rows.append((claim.slot, who(claim.user, claim.container), _state(claim, now)))
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(f"{slot:{widths[0]}}  {holder:{widths[1]}}  {state}" for slot, holder, state in rows)


def when(at: datetime, now: datetime) -> str:
    """Return a time for people, in the server's zone: today's by the hour, others with the day."""
    there, today = local(at), local(now)
    return there.strftime("%H:%M" if there.date() == today.date() else "%a %d %b %H:%M")


def describe_reservation(item: Reservation, now: datetime) -> str:
    """Return a reservation in one line: `0:0, 0:1 for @lab, from Tue 01 Dec 08:00 to Sat 05 Dec 18:00 (deadline)`."""
    whom = item.user or f"@{item.group}"
    start = "now" if item.start <= now else f"from {_day(item.start)}"
    reason = f" ({item.reason})" if item.reason else ""
    return f"{', '.join(item.slots)} for {whom}, {start} to {_day(item.end)}{reason}"


def _day(at: datetime) -> str:
    return local(at).strftime("%a %d %b %Y %H:%M")


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
    when = local(notice.time).strftime("%a %d %b %H:%M")
    return f"[{when}] {text}" + (f" → {notice.command}" if notice.command else "")


def size(number: int | None) -> str:
    """Bytes for people, binary: `1.2G`."""
    if number is None:
        return "–"
    value = float(number)
    for unit in ("B", "K", "M", "G"):
        if value < 1024:
            return f"{value:.0f}{unit}" if unit in "BK" or value >= 100 else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}T"


def gpu_names(slots: Sequence[Any]) -> str:
    """Return slots for people: `0:1 (2g.20gb)`, `0:1, was 0:0 (2g.20gb)`."""
    return ", ".join(f"{called(item)} ({item.profile})" if item.profile else called(item) for item in slots)


def short(container: str | None) -> str:
    """The name that people use, of a container's full one."""
    return (container or "").partition("._.")[0]


def who(user: str | None, container: str | None) -> str:
    """Who has something: `alice (thesis)`."""
    return " ".join(filter(None, (user, f"({short(container)})" if container else None))) or "–"


def counted(number: int, noun: str) -> str:
    """A number of things: `1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def processes(count: int) -> str:
    """How many processes end with a stop."""
    return f"{count} process{'' if count == 1 else 'es'} will end"


def _one_line(text: str) -> str:
    """A text with what was typed in it, on one line: a line break in a name would look like a line of ours."""
    return "".join(letter if letter.isprintable() else "?" for letter in text.strip())


def _state(claim: Claim, now: datetime) -> str:
    until = f"until {moment(claim.until, now)}" if claim.until else ""
    words = {"leased": "in use", "busy_outside": "used outside ds01", "lost": "gone"}.get(claim.state, claim.state)
    if claim.state == "leased" and claim.since is not None:
        words += f" since {moment(claim.since, now)}"
    return " ".join(part for part in (words, until, f"– {claim.why}" if claim.why else "") if part)


def _slots(number: int | None) -> str:
    return counted(number or 0, "GPU")
