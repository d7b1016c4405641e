"""What a pass did, as data: `tick.json`, and the answer of `ds01 tick --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ds01.automation.decide import Decision
from ds01.errors import Ds01Error
from ds01.records.record import Record
from ds01.system.data import format_time, to_json

# Actions of items in `unknown` that were judged, or will be by themselves. Everything else there could not be judged.
BUSY = "busy"
BEGINS = "begins"
WAITS = "waits"
CLOCK = "clock"  # the whole pass: its time cannot be trusted
LOST = "gpu"  # a slot that is leased and is not there any more
HARMLESS = frozenset((BUSY, BEGINS, WAITS, LOST))


@dataclass(frozen=True)
class ReportItem:
    """What was done to one container, or would be; and why."""

    container: str
    action: str
    why: str


@dataclass
class TickReport:
    """The record of a pass. `unknown` is what could not be judged, or not yet; `errors` what could not be done."""

    started_at: datetime
    seconds: float = 0.0
    looked_at: int = 0
    acted: list[ReportItem] = field(default_factory=list)
    warned: list[ReportItem] = field(default_factory=list)
    unknown: list[ReportItem] = field(default_factory=list)
    errors: list[ReportItem] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether everything could be done that was due."""
        return not self.errors

    @property
    def complete(self) -> bool:
        """Whether everything could be judged and done; what passes by itself counts as judged."""
        return self.succeeded and all(item.action in HARMLESS for item in self.unknown)

    def add_clock_doubt(self, why: str) -> None:
        """Note that nothing was judged in this pass, since the clock cannot be trusted."""
        self.unknown.append(ReportItem("", CLOCK, f"nothing is judged: {why}"))

    @property
    def clock_is_doubted(self) -> bool:
        """Whether nothing was judged, since the clock cannot be trusted."""
        return any(item.action == CLOCK and not item.container for item in self.unknown)

    def add_error(self, container: str, action: str, error: Exception) -> None:
        """Note what went wrong with one container; the pass goes on."""
        self.errors.append(ReportItem(container, action, error_line(error)))


def tick_document(report: TickReport, before: Mapping[str, Any]) -> dict[str, Any]:
    """What `tick.json` is to say after this pass: all of it, and `last_good_at`, when the last good pass began.

    `before` is what it says now; nothing if there is none, or none that can be read. Pure.
    """
    # A pass that did not trust its own clock is no good pass: its time may be years ahead.
    last_good_at = (
        format_time(report.started_at) if report.succeeded and not report.clock_is_doubted else last_good_time(before)
    )
    document: dict[str, Any] = to_json(asdict(report))
    return document | {"last_good_at": last_good_at}


def last_good_time(document: Mapping[str, Any]) -> str | None:
    """When the last good pass began, by what `tick.json` says; None if no pass was good yet, or it does not say.

    One that an older ds01 wrote knows only whether it was good itself. Pure.
    """
    last_good_at = document.get("last_good_at", None if document.get("errors") else document.get("started_at"))
    return last_good_at if isinstance(last_good_at, str) else None


def unjudged_items(document: Mapping[str, Any]) -> list[str]:
    """What the pass could not judge, by what `tick.json` says, a line each; without what passes by itself. Pure."""
    items = (item for item in document.get("unknown", ()) if item["action"] not in HARMLESS)
    return [f"{item['container'] or 'the pass'}: {item['why']}" for item in items]


def decision_item(record: Record, decision: Decision) -> ReportItem:
    """A decision, for the report."""
    why = f"{decision.rule.value}, due {format_time(decision.deadline)}"
    return ReportItem(record.container_name, decision.action.value, why)


def error_line(error: Exception) -> str:
    """An error in a line; one that nobody foresaw with its type."""
    if isinstance(error, Ds01Error):
        return f"{error.message}: {error.why}" if error.why else error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"
