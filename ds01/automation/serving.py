"""The waiting line's service: those who are gone are dropped, and holds end early for who waits, if the policy says so.

The waiters take their leases themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from ds01.automation.acting import TICK, lock_of
from ds01.automation.decide import Act, Decision, Why
from ds01.automation.reclaim import to_reclaim
from ds01.automation.report import Item, Report, item_of
from ds01.automation.telling import outcome
from ds01.errors import Busy, Ds01Error
from ds01.gpus.model import GpuObservation
from ds01.journal.notifier import Teller
from ds01.lifecycle import stop as stopping
from ds01.lifecycle.context import wait_queue
from ds01.lifecycle.context.allocation import allocation_input, outside_containers
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.reconcile import one
from ds01.records.entries import is_manual
from ds01.records.machine import State
from ds01.records.record import Record


@dataclass
class Serving:
    """What serves the line once."""

    context: Context
    teller: Teller
    gpus: GpuObservation

    def serve(self, report: Report, *, dry_run: bool, reclaim: bool = True) -> None:
        """Drop who is gone; where the policy says so, end holds for those of higher priority who wait.

        `reclaim` false: no hold ends in this pass.
        """
        if not dry_run:
            gone = self.context.ledger.line().drop_gone()
            report.acted += [Item(identity, "drop", "it waits no more") for identity in gone]
        if not self.context.rules.policy.reclaim_held or not reclaim:
            return
        for record in self._to_reclaim():
            decision = Decision(Act.RELEASE, Why.RECLAIM, self.context.clock())
            try:
                if dry_run or self._reclaim(record, decision):
                    report.acted.append(item_of(record, decision))
            except Exception as error:
                report.failed(record.container_name, "reclaim", error)

    def _to_reclaim(self) -> list[Record]:
        context = self.context
        waiters = wait_queue.waiters(context)
        if not waiters:
            return []
        entries = context.ledger.read()
        situation = allocation_input(
            context, entries, self.gpus, outside_containers(context, entries, context.observer.containers())
        )
        leases = to_reclaim(situation, wait_queue.in_line(context, waiters, entries))
        found = [entries[lease.container] for lease in leases]
        return [record for record in found if isinstance(record, Record) and not is_manual(record)]

    def _reclaim(self, record: Record, decision: Decision) -> bool:
        """End one hold; whether it was done. First the word, then the deed: then a waiter may have it at once."""
        context = self.context
        try:
            with lock_of(context, record):
                one(context, record.container_name)
                current = context.ledger.read().get(record.container_name)
                if not isinstance(current, Record) or (current.id, current.state) != (record.id, State.HELD):
                    return False
                notice = outcome(current, decision, context.clock())
                if not self.teller.deliver(current, notice):
                    raise Ds01Error("the notice could not be delivered")
                done = stopping.give_back(context, TICK, current, why="somebody of higher priority waits")
        except Busy:
            return False  # its owner is just starting it, say
        self.teller.announce(done, notice)
        return True
