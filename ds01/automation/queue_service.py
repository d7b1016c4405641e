"""Maintain the queue: drop exited waiters, and end holds early for waiters if the policy allows it.

The waiters take their leases themselves.
"""

from __future__ import annotations

from ds01.automation.decide import Action, Decision, Rule
from ds01.automation.executor import TICK_ACTOR, lock_container
from ds01.automation.notice_texts import outcome_notice
from ds01.automation.reclaim import leases_to_reclaim
from ds01.automation.report import ReportItem, TickReport, decision_item
from ds01.dataclass import dataclass
from ds01.errors import Busy, Ds01Error
from ds01.gpus.model import GpuObservation
from ds01.journal.notifier import Notifier
from ds01.lifecycle import stop as stopping
from ds01.lifecycle.context import wait_queue
from ds01.lifecycle.context.allocation import allocation_input, outside_containers
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.reconcile import reconcile_one
from ds01.records.entries import is_manual
from ds01.records.record import Record
from ds01.records.state_machine import State


@dataclass
class QueueService:
    """Maintains the queue once."""

    context: Context
    notifier: Notifier
    gpus: GpuObservation

    def serve(self, report: TickReport, *, dry_run: bool, reclaim: bool = True) -> None:
        """Drop exited waiters; if the policy says so, end holds for waiters of higher priority.

        `reclaim` false: no hold ends in this tick.
        """
        if not dry_run:
            exited = self.context.ledger.wait_queue().remove_exited()
            report.acted += [ReportItem(identity, "drop", "its process has exited") for identity in exited]
        if not self.context.rules.policy.reclaim_held or not reclaim:
            return
        for record in self._records_to_reclaim():
            decision = Decision(Action.RELEASE, Rule.RECLAIM, self.context.clock())
            try:
                if dry_run or self._reclaim(record, decision):
                    report.acted.append(decision_item(record, decision))
            except Exception as error:
                report.add_error(record.container_name, "reclaim", error)

    def _records_to_reclaim(self) -> list[Record]:
        context = self.context
        waiters = wait_queue.waiters(context)
        if not waiters:
            return []
        entries = context.ledger.read()
        situation = allocation_input(
            context, entries, self.gpus, outside_containers(context, entries, context.observer.containers())
        )
        leases = leases_to_reclaim(situation, wait_queue.as_queued_requests(context, waiters, entries))
        records = [entries[lease.container] for lease in leases]
        return [record for record in records if isinstance(record, Record) and not is_manual(record)]

    def _reclaim(self, record: Record, decision: Decision) -> bool:
        """End one hold; return whether it was done. The owner is notified first, as a waiter may take it at once."""
        context = self.context
        try:
            with lock_container(context, record):
                reconcile_one(context, record.container_name)
                current = context.ledger.read().get(record.container_name)
                if not isinstance(current, Record) or (current.id, current.state) != (record.id, State.HELD):
                    return False
                notice = outcome_notice(current, decision, context.clock())
                if not self.notifier.deliver(current, notice):
                    raise Ds01Error("the notice could not be delivered")
                released = stopping.release_lease(
                    context, TICK_ACTOR, current, why="a waiter of higher priority needs it"
                )
        except Busy:
            return False  # for example, its owner is starting it
        self.notifier.announce(released, notice)
        return True
