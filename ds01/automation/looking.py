"""Looks at all running containers once, and keeps what was seen.

Each under its lock: a command that has read a record must find it unchanged when it writes, and may take minutes.
Several are written at once, since the ledger is looked through anew for every time that its lock is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace

from ds01.automation.acting import lock_of
from ds01.automation.activity import Activity
from ds01.automation.decide import Why, decide
from ds01.automation.observe import ask_workspace, look, started_anew
from ds01.automation.report import BEGINS, BUSY, Item, Report
from ds01.errors import Busy, EngineUnreachable
from ds01.gpus.model import GpuObservation
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.reconcile import one
from ds01.records.machine import State
from ds01.records.record import Record
from ds01.system.data import to_json

TOGETHER = 20  # containers: their locks are held for some hundredths of a second


@dataclass
class Looking:
    """One look at everything that runs. `dry_run`: nothing is locked or kept."""

    context: Context
    gpus: GpuObservation
    report: Report
    dry_run: bool

    def look_at(self, records: Sequence[Record]) -> dict[str, Record]:
        """The records with what was seen, by name. What could not be looked at is missing, and is in the report."""
        seen: dict[str, Record] = {}
        for begin in range(0, len(records), TOGETHER):
            with ExitStack() as locks:
                looked = list(self._look_at_some(records[begin : begin + TOGETHER], locks))
                kept = looked if self.dry_run else self._keep(looked)
                seen |= {record.container_name: record for record in kept}
        return seen

    def _look_at_some(self, records: Sequence[Record], locks: ExitStack) -> Iterator[Record]:
        for record in records:
            held: AbstractContextManager[object] = nullcontext() if self.dry_run else lock_of(self.context, record)
            try:
                locks.enter_context(held)
                found = self._look(record)
            except Busy:
                self._busy(record)
            except EngineUnreachable:
                raise  # it has stopped answering: nothing more is known of anybody
            except Exception as error:
                self.report.failed(record.container_name, "look", error)
            else:
                yield found

    def _look(self, record: Record) -> Record:
        """The record with what was seen. Raises Busy if it does not run any more."""
        activity = look(self.context, record, self.gpus)
        if started_anew(record, activity) and not self.dry_run:
            # A list does not show that it has ended and runs again; its first process is another one.
            one(self.context, record.container_name)
            current = self.context.ledger.read().get(record.container_name)
            if not isinstance(current, Record) or current.state is not State.RUNNING:
                raise Busy(f"{record.name} has ended")
            record, activity = current, look(self.context, current, self.gpus)
        self._say(record, activity)
        seen = replace(record, activity=to_json(activity))
        due = decide(seen, *self.context.rules.deadline_rules(seen), now=self.context.clock())
        if due is None or due.why is not Why.IDLE:
            return seen
        return replace(record, activity=to_json(ask_workspace(self.context, record, activity)))

    def _keep(self, records: Sequence[Record]) -> list[Record]:
        """Write what was seen, unless a command changed the record since it was read."""
        kept = []
        if not records:
            return []
        with self.context.ledger.transaction() as ledger:
            for record in records:
                try:
                    kept.append(ledger.commit(record, now=self.context.clock(), durable=False))
                except Busy:
                    self._busy(record)
                except Exception as error:
                    self.report.failed(record.container_name, "look", error)
        return kept

    def _say(self, record: Record, activity: Activity) -> None:
        if activity.state == "unknown" and activity.why is not None:
            action = BEGINS if activity.begins else "activity"
            self.report.unknown.append(Item(record.container_name, action, activity.why))

    def _busy(self, record: Record) -> None:
        self.report.unknown.append(Item(record.container_name, BUSY, "a command is at work on it"))
