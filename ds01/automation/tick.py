"""One pass of the automation: reconcile, observe, decide, apply, report. One container's failure never stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ds01.automation.acting import Acting
from ds01.automation.decide import Act, Decision, Why, decide
from ds01.automation.looking import Looking
from ds01.automation.observe import keeps_alive
from ds01.automation.report import LOST, Item, Report, item_of
from ds01.automation.serving import Serving
from ds01.automation.telling import Teller
from ds01.gpus.model import Observation
from ds01.lifecycle.ledger import REMOVED_KEPT
from ds01.lifecycle.machine import State
from ds01.lifecycle.reconcile import foresee, reconcile
from ds01.lifecycle.record import Record
from ds01.lifecycle.world import World, is_manual, readable

Slices = Callable[[World, Sequence[Record], Report], None]


@dataclass
class Tick:
    """One pass. `make_world` makes a world of its own for a thread: engines and ledgers are for one only.

    `slices` brings the machine's slices to the policy; None where they are not ours.
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
        gpus = world.observe_gpus(utilisation=True)
        if self.dry_run:
            changes = foresee(world, listed)
        else:
            changes = reconcile(world, listed, failed=lambda name, why: report.failed(name, "reconcile", why))
        report.acted += [Item(change.container, "reconcile", change.what) for change in changes]
        drifted = {change.container for change in changes} if self.dry_run else set()
        found = [
            record
            for record in readable(world.ledger.read())
            if not is_manual(record) and record.container_name not in drifted
        ]
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
        """What is due, with the records as they are after a look at all that run."""
        there = {slot.uuid for slot in gpus.slots}
        running = [record for record in records if record.state is State.RUNNING]
        seen = Looking(self.world, gpus, report, self.dry_run).look_at(running)
        decided = []
        for record in records:
            lost = [ref.slot for ref in record.lease.slots if ref.uuid not in there] if record.lease else []
            report.unknown += [Item(record.container_name, LOST, f"GPU {slot} is not there any more") for slot in lost]
            judged = seen.get(record.container_name) if record.state is State.RUNNING else record
            try:
                decision = self._judge(judged, report) if judged is not None else None
            except Exception as error:
                report.failed(record.container_name, "judge", error)
                continue
            if judged is not None and decision is not None:
                decided.append((judged, decision))
        return decided

    def _judge(self, record: Record, report: Report) -> Decision | None:
        world = self.world
        decision = decide(record, *world.rules_of(record), now=world.clock())
        if decision is None or decision.why is not Why.IDLE:
            return decision
        wanted = keeps_alive(record, now=world.clock(), longest=world.policy.policies.keep_alive_max)
        if wanted is None:
            report.unknown.append(Item(record.container_name, "keep-alive", "its workspace cannot be read"))
        return decision if wanted is False else None

    def _clear_up(self, records: Sequence[Record], report: Report) -> None:
        self.world.ledger.forget_removed(before=self.world.clock() - REMOVED_KEPT)
        if self.slices is not None:
            try:
                self.slices(self.world, records, report)
            except Exception as error:
                report.failed("", "slices", error)
