"""The options for a period of time: --since, --until and --last."""

from __future__ import annotations

import re
from datetime import datetime, time

import click

from ds01.cli.command.definition import Function
from ds01.dataclass import dataclass
from ds01.errors import UsageError
from ds01.policy.units import InvalidValue, parse_duration, parse_time
from ds01.system.clock import server_zone, to_server_zone

ALLOWED = "2026-11-30, 2026-11-30 14:00, 14:00 (today), or a time with its zone like 2026-11-30T14:00Z"
_LOCAL_TIME = re.compile(r"(?:(\d{4}-\d{2}-\d{2})[ T])?(\d{1,2}:\d{2}(?::\d{2})?)")


@dataclass(frozen=True)
class PeriodOptions:
    """The options as typed."""

    since: str | None
    until: str | None
    last: str | None

    def check(self) -> None:
        """Raise UsageError for options that exclude each other."""
        if self.last is not None and (self.since is not None or self.until is not None):
            raise UsageError("--last cannot be combined with --since or --until", why="it ends now")

    def resolve(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return beginning and end; None: open. Raises UsageError."""
        if self.last is not None:
            try:
                return now - parse_duration(self.last), None
            except (InvalidValue, OverflowError) as error:
                raise UsageError(f"--last {self.last!r} is not a duration", why=str(error)) from None
        since = None if self.since is None else _parse("--since", self.since, now, day_begins=True)
        until = None if self.until is None else _parse("--until", self.until, now, day_begins=False)
        if since is not None and until is not None and since > until:
            raise UsageError("--until is before --since")
        return since, until


OPTIONS: tuple[Function, ...] = (
    click.option("--since", metavar="TIME", help="From this day or time: 2026-11-30, '2026-11-30 14:00', 14:00."),
    click.option("--until", metavar="TIME", help="Until this time, or to the end of this day."),
    click.option("--last", metavar="DURATION", help="The last 2h, 7d, …"),
)


def _parse(option: str, text: str, now: datetime, *, day_begins: bool) -> datetime:
    """Return a time as typed, in the server's zone unless it names one. Raises UsageError."""
    zone = server_zone()
    local = _LOCAL_TIME.fullmatch(text)
    try:
        if local is not None:
            day = datetime.fromisoformat(local[1]).date() if local[1] else to_server_zone(now).date()
            hour = time.fromisoformat(local[2].zfill(len("08:00") if local[2].count(":") == 1 else len("08:00:00")))
            return datetime.combine(day, hour, zone)
        return parse_time(text, zone, day_begins=day_begins)
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text!r} is not a time", why=f"allowed: {ALLOWED}") from None
