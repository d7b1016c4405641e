"""The report of a tick, as data: `tick.json`, and the output of `ds01 tick --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from datetime import datetime
from typing import Any

from ds01.automation.decide import Decision
from ds01.dataclass import dataclass
from ds01.errors import Ds01Error
from ds01.records.record import Record
from ds01.system.data import format_time, to_json

# Actions of items in `unknown` that need no attention: decided anyway, or resolved by a later tick.
BUSY = "busy"
BEGINS = "begins"
WAITS = "waits"
CLOCK = "clock"  # the whole tick: its time cannot be trusted
LOST = "gpu"  # a leased slot that is gone
DISK_USE = "disk"  # what could not be measured; the last figures stay
HARMLESS = frozenset((BUSY, BEGINS, WAITS, LOST, DISK_USE))


@dataclass(frozen=True)
class ReportItem:
    """What was done to one container, or would be, and why."""

    container: str
    action: str
    why: str


@dataclass
class TickReport:
    """The report of a tick. `unknown`: what could not be decided, or not yet. `errors`: what could not be done."""

    started_at: datetime
    seconds: float = 0.0
    looked_at: int = 0
    acted: list[ReportItem] = field(default_factory=list)
    warned: list[ReportItem] = field(default_factory=list)
    unknown: list[ReportItem] = field(default_factory=list)
    errors: list[ReportItem] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether everything that was due could be done."""
        return not self.errors

    @property
    def complete(self) -> bool:
        """Whether everything could be decided and done; harmless unknowns do not count."""
        return self.succeeded and all(item.action in HARMLESS for item in self.unknown)

    def add_clock_doubt(self, why: str) -> None:
        """Report that nothing was decided in this tick, since the clock cannot be trusted."""
        self.unknown.append(ReportItem("", CLOCK, f"nothing is decided: {why}"))

    @property
    def clock_is_doubted(self) -> bool:
        """Whether nothing was decided, since the clock cannot be trusted."""
        return any(item.action == CLOCK and not item.container for item in self.unknown)

    def add_error(self, container: str, action: str, error: Exception) -> None:
        """Report an error with one container; the tick continues."""
        self.errors.append(ReportItem(container, action, error_line(error)))


def tick_document(report: TickReport, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `tick.json`: the report, and `last_good_at`, when the last good tick began. Pure.

    `before`: the present content; empty if it is missing or unreadable.
    """
    # A tick that did not trust its clock is not a good one: its time may be years ahead.
    last_good_at = (
        format_time(report.started_at) if report.succeeded and not report.clock_is_doubted else last_good_time(before)
    )
    document: dict[str, Any] = to_json(asdict(report))
    return document | {"last_good_at": last_good_at}


def last_good_time(document: Mapping[str, Any]) -> str | None:
    """Return when the last good tick began, from the content of `tick.json`; None: not yet, or unknown. Pure.

    The file of an older ds01 only shows whether its own tick was good.
    """
    last_good_at = document.get("last_good_at", None if document.get("errors") else document.get("started_at"))
    return last_good_at if isinstance(last_good_at, str) else None


def unjudged_items(document: Mapping[str, Any]) -> list[str]:
    """Return what the tick could not decide, one line each, from the content of `tick.json`. Pure."""
    items = (item for item in document.get("unknown", ()) if item["action"] not in HARMLESS)
    return [f"{item['container'] or 'the tick'}: {item['why']}" for item in items]


def decision_item(record: Record, decision: Decision) -> ReportItem:
    """Return a decision as an item of the report."""
    why = f"{decision.rule.value}, due {format_time(decision.deadline)}"
    return ReportItem(record.container_name, decision.action.value, why)


def error_line(error: Exception) -> str:
    """Return an error in one line; an unexpected one with its type."""
    if isinstance(error, Ds01Error):
        return f"{error.message}: {error.why}" if error.why else error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"
