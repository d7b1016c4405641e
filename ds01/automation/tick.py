"""One pass of the automation: reconcile, observe, decide, apply, report. One container's failure never stops it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from ds01.automation.acting import Acting, exempt, lock_of
from ds01.automation.decide import Act, Decision, Why, decide
from ds01.automation.observe import keeps_alive, look, started_anew
from ds01.automation.report import Item, Report, item_of
from ds01.automation.serving import Serving
from ds01.automation.telling import Teller
from ds01.errors import Busy, Ds01Error, EngineUnreachable
from ds01.gpus.model import Observation
from ds01.lifecycle.ledger import REMOVED_KEPT
from ds01.lifecycle.machine import State
from ds01.lifecycle.reconcile import one, reconcile
from ds01.lifecycle.record import Record
from ds01.lifecycle.world import World, is_manual, readable
from ds01.system.data import to_json

Slices = Callable[[World, Sequence[Record]], Sequence[Item]]


@dataclass
class Tick:
    """One pass. `make_world` makes a world of its own for a thread: engines and ledgers are for one only.

    `slices` brings the machine's slices to the policy and says what it could not do; None where they are not ours.
    """

    world: World
    make_world: Callable[[], World]
    teller: Teller
    dry_run: bool = False
    slices: Slices | None = None

    def run(self) -> Report:
        """Do the pass. The caller holds the tick's lock."""
        began = time.monotonic()
        report = Report(self.world.clock())
        try:
            self._pass(report)
        except Exception as error:
            report.failed("", "judge", error)
        report.seconds = round(time.monotonic() - began, 3)
        return report

    def _pass(self, report: Report) -> None:
        world = self.world
        listed = world.listed()
        gpus = world.observe_gpus()
        if not self.dry_run:
            for change in reconcile(world, listed, failed=lambda name, why: report.failed(name, "reconcile", why)):
                report.acted.append(Item(change.container, "reconcile", change.what))
        found = [record for record in readable(world.ledger.read()) if not is_manual(record)]
        records = sorted(found, key=lambda record: record.container_name)
        report.looked_at = len(records)
        decided = self._decide(records, gpus, report)
        if self.dry_run:
            for record, decision in decided:
                items = report.warned if decision.act is Act.WARN else report.acted
                items.append(item_of(record, decision))
        else:
            Acting(world, self.make_world, self.teller, gpus).apply(decided, report)
        Serving(world, self.teller, gpus).serve(report, dry_run=self.dry_run)
        if not self.dry_run:
            self._clear_up(records, report)

    def _decide(self, records: Sequence[Record], gpus: Observation, report: Report) -> list[tuple[Record, Decision]]:
        there = {slot.uuid for slot in gpus.slots}
        decided = []
        for record in records:
            lost = [ref.slot for ref in record.lease.slots if ref.uuid not in there] if record.lease else []
            report.unknown += [Item(record.container_name, "gpu", f"GPU {slot} is not there any more") for slot in lost]
            try:
                judged, decision = self._judge(record, gpus, report)
            except EngineUnreachable:
                raise  # it has stopped answering: nothing more is known of anybody
            except Exception as error:
                report.failed(record.container_name, "judge", error)
                continue
            if decision is not None:
                decided.append((judged, decision))
        return decided

    def _judge(self, record: Record, gpus: Observation, report: Report) -> tuple[Record, Decision | None]:
        """Look at one container, keep what was seen, and decide. The record as it is now, and the decision."""
        world, name = self.world, record.container_name
        if record.state is State.RUNNING:
            seen = self._look(record, gpus, report)
            if seen is None:
                report.unknown.append(Item(name, "busy", "a command is at work on it"))
                return record, None
            record = seen
        limits, policies = world.limits_of(record).limits, world.policy.policies
        decision = decide(record, limits, policies, exempt=exempt(world, record), now=world.clock())
        if decision is None or decision.why is not Why.IDLE:
            return record, decision
        wanted = keeps_alive(record, now=world.clock(), longest=policies.keep_alive_max)
        if wanted is None:
            report.unknown.append(Item(name, "keep-alive", "its workspace cannot be read"))
        return record, decision if wanted is False else None

    def _look(self, record: Record, gpus: Observation, report: Report) -> Record | None:
        """The record with what was seen now; None if a command is at work on the container.

        Under the container's lock: a command that has read the record must find it unchanged when it writes.
        """
        held: AbstractContextManager[object] = nullcontext() if self.dry_run else lock_of(self.world, record)
        try:
            with held:
                activity = look(self.world, record, gpus)
                if started_anew(record, activity) and not self.dry_run:
                    # A list does not show that it has ended and runs again; its first process is another one.
                    one(self.world, record.container_name)
                    current = self.world.ledger.read().get(record.container_name)
                    if not isinstance(current, Record) or current.state is not State.RUNNING:
                        return None
                    record, activity = current, look(self.world, current, gpus)
                if activity.state == "unknown" and activity.why is not None:
                    report.unknown.append(Item(record.container_name, "activity", activity.why))
                after = dataclasses.replace(record, activity=to_json(activity))
                return after if self.dry_run else self._keep(after)
        except Busy:
            return None

    def _keep(self, record: Record) -> Record:
        """Write what was seen. Raises Busy if a command changed the record since it was read."""
        with self.world.ledger.transaction() as ledger:
            return ledger.commit(record, now=self.world.clock(), durable=False)

    def _clear_up(self, records: Sequence[Record], report: Report) -> None:
        self.world.ledger.forget_removed(before=self.world.clock() - REMOVED_KEPT)
        if self.slices is not None:
            try:
                report.unknown += self.slices(self.world, records)
            except Ds01Error as error:  # no container depends on it; doctor says what is wrong
                report.unknown.append(Item("", "slices", error.why or error.message))
