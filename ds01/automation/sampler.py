"""Sample the activity of all running containers once, and store it in the records.

Each under its container's lock: a command that has read a record must find it unchanged when it commits, and may take
minutes. Several are committed at once, since taking the ledger's lock costs a scan of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace

from ds01.automation.activity import Activity
from ds01.automation.activity_observation import observe_activity, was_restarted, with_workspace_answer
from ds01.automation.decide import Rule, decide
from ds01.automation.executor import lock_container
from ds01.automation.report import BEGINS, BUSY, ReportItem, TickReport
from ds01.dataclass import dataclass
from ds01.errors import Busy, EngineUnreachable
from ds01.gpus.model import GpuObservation
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.reconcile import reconcile_one
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system.data import to_json

BATCH_SIZE = 20  # containers: their locks are held for some hundredths of a second


@dataclass
class ActivitySampler:
    """Samples all running containers once. `dry_run`: nothing is locked or stored."""

    context: Context
    gpus: GpuObservation
    report: TickReport
    dry_run: bool

    def sample(self, records: Sequence[Record]) -> dict[str, Record]:
        """Return the records with their new activity, by name. Failed ones are left out, and are in the report."""
        sampled: dict[str, Record] = {}
        for begin in range(0, len(records), BATCH_SIZE):
            with ExitStack() as locks:
                batch = list(self._sample_batch(records[begin : begin + BATCH_SIZE], locks))
                stored = batch if self.dry_run else self._store(batch)
                sampled |= {record.container_name: record for record in stored}
        return sampled

    def _sample_batch(self, records: Sequence[Record], locks: ExitStack) -> Iterator[Record]:
        for record in records:
            lock: AbstractContextManager[object] = (
                nullcontext() if self.dry_run else lock_container(self.context, record)
            )
            try:
                locks.enter_context(lock)
                updated = self._sample_record(record)
            except Busy:
                self._report_busy(record)
            except EngineUnreachable:
                raise  # the engine has stopped answering, so the other containers are unknown too
            except Exception as error:
                self.report.add_error(record.container_name, "look", error)
            else:
                yield updated

    def _sample_record(self, record: Record) -> Record:
        """Return the record with its new activity. Raises Busy if it does not run any more."""
        activity = observe_activity(self.context, record, self.gpus)
        if was_restarted(record, activity) and not self.dry_run:
            # The list does not show that it has stopped and runs again, but process 1 has changed.
            reconcile_one(self.context, record.container_name)
            current = self.context.ledger.read().get(record.container_name)
            if not isinstance(current, Record) or current.state is not State.RUNNING:
                raise Busy(f"{record.name} has ended")
            record, activity = current, observe_activity(self.context, current, self.gpus)
        self._report_unknown(record, activity)
        sampled = replace(record, activity=to_json(activity))
        decision = decide(sampled, *self.context.rules.deadline_rules(sampled), now=self.context.clock())
        if decision is None or decision.rule is not Rule.IDLE:
            return sampled
        return replace(record, activity=to_json(with_workspace_answer(self.context, record, activity)))

    def _store(self, records: Sequence[Record]) -> list[Record]:
        """Commit the new activity, unless a command changed the record since it was read."""
        stored = []
        if not records:
            return []
        with self.context.ledger.transaction() as ledger:
            for record in records:
                try:
                    stored.append(ledger.commit(record, now=self.context.clock(), durable=False))
                except Busy:
                    self._report_busy(record)
                except Exception as error:
                    self.report.add_error(record.container_name, "look", error)
        return stored

    def _report_unknown(self, record: Record, activity: Activity) -> None:
        if activity.state == "unknown" and activity.why is not None:
            action = BEGINS if activity.begins else "activity"
            self.report.unknown.append(ReportItem(record.container_name, action, activity.why))

    def _report_busy(self, record: Record) -> None:
        self.report.unknown.append(ReportItem(record.container_name, BUSY, "a command is working on it"))
