"""What a pass did, as data: `tick.json`, and the answer of `ds01 tick --json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ds01.automation.decide import Decision
from ds01.errors import Ds01Error
from ds01.lifecycle.record import Record
from ds01.system.data import format_time


@dataclass(frozen=True)
class Item:
    """What was done to one container, or would be; and why."""

    container: str
    action: str
    why: str


@dataclass
class Report:
    """The record of a pass. `unknown` is what could not be judged and needs nobody's hand; `errors` make it bad."""

    started_at: datetime
    seconds: float = 0.0
    looked_at: int = 0
    acted: list[Item] = field(default_factory=list)
    warned: list[Item] = field(default_factory=list)
    unknown: list[Item] = field(default_factory=list)
    errors: list[Item] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything could be judged and done."""
        return not self.errors

    def failed(self, container: str, action: str, error: Exception) -> None:
        """Note what went wrong with one container; the pass goes on."""
        self.errors.append(Item(container, action, in_a_line(error)))


def item_of(record: Record, decision: Decision) -> Item:
    """A decision, for the report."""
    why = f"{decision.why.value}, due {format_time(decision.deadline)}"
    return Item(record.container_name, decision.act.value, why)


def in_a_line(error: Exception) -> str:
    """An error in a line; one that nobody foresaw with its type."""
    if isinstance(error, Ds01Error):
        return f"{error.message}: {error.why}" if error.why else error.message
    return f"{type(error).__name__}: {error}"
