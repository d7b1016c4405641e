"""One pass of the automation: reconcile, observe, decide, apply, report. One container's failure never stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ds01.automation.acting import Acting
from ds01.automation.announcing import announce
from ds01.automation.correcting import correct_starts, correct_times
from ds01.automation.decide import Act, Decision, Why, decide
from ds01.automation.looking import Looking
from ds01.automation.observe import GONE_AFTER, KeepAlive, known
from ds01.automation.posting import post
from ds01.automation.report import LOST, Item, Report, item_of
from ds01.automation.serving import Serving
from ds01.automation.timekeeping import check_clock
from ds01.engines.protocol import EngineContainer
from ds01.gpus.model import GpuObservation
from ds01.gpus.slot_names import is_unobserved, original_name
from ds01.journal.notifier import Teller
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.gpu_processes import to_keep
from ds01.lifecycle.context.slot_names import keep_names
from ds01.lifecycle.reconciliation.reconcile import foresee, reconcile
from ds01.records.entries import is_manual, readable
from ds01.records.ledger import REMOVED_KEPT
from ds01.records.machine import State
from ds01.records.record import Record
from ds01.records.store.memory import Memory
from ds01.system.clock import ClockReading, Uptime

WARNINGS_LAST = timedelta(hours=3)  # without a tick: its first act after that must not be a stop
Slices = Callable[[Context, Sequence[Record], Report], None]


@dataclass
class Tick:
    """One pass. `make_context` makes a context of its own for a thread: engines and ledgers are for one only.

    `slices` brings the machine's slices to the policy; None where they are not ours. `uptime` tells a step of the
    clock from time that passed; a simulated clock has none.
    """

    context: Context
    make_context: Callable[[], Context]
    teller: Teller
    dry_run: bool = False
    slices: Slices | None = None
    uptime: Callable[[], Uptime | None] = lambda: None
    _last: datetime | None = field(default=None, init=False)  # when the last tick that trusted its clock was
    _looked: datetime | None = field(default=None, init=False)  # when the last one that looked at what runs was

    def run(self) -> Report:
        """Do the pass. The caller holds the tick's lock."""
        began = time.monotonic()
        report = Report(self.context.clock())
        if not self.dry_run:
            post(self.context, self.teller, report)
        try:
            self._pass(report)
        except Exception as error:
            report.failed("", "judge", error)
        report.seconds = round(time.monotonic() - began, 3)
        return report

    def _pass(self, report: Report) -> None:
        context = self.context
        listed = context.observer.containers()
        if not self._trusts_clock(listed, report):
            return
        gpus = context.observer.gpus(utilisation=True)
        if self.dry_run:
            changes = foresee(context, listed)
        else:
            changes = reconcile(context, listed, failed=lambda name, why: report.failed(name, "reconcile", why))
        if not self.dry_run:
            keep_names(context, gpus)
            self._keep_processes(gpus, report)
        report.acted += [Item(change.container, "reconcile", change.what) for change in changes]
        drifted = {change.container for change in changes} if self.dry_run else set()
        # Nothing is concluded from a record that could not be brought to what Docker says.
        drifted |= {item.container for item in report.errors}
        if not self.dry_run:
            sure = [record for record in readable(context.ledger.read()) if record.container_name not in drifted]
            announce(context, self.teller, sure, report)
        everything = readable(context.ledger.read())
        if self._looked is not None:
            sure = [record for record in everything if record.container_name not in drifted and not is_manual(record)]
            corrected = correct_starts(context, sure, self._looked, dry_run=self.dry_run)
            report.acted += corrected
            everything = readable(context.ledger.read()) if corrected else everything
        found = [record for record in everything if not is_manual(record) and record.container_name not in drifted]
        unsure = self._owners_in_doubt(everything, report)
        records = sorted(found, key=lambda record: record.container_name)
        report.looked_at = len(records)
        decided = self._decide(records, unsure, gpus, report)
        if self.dry_run:
            for record, decision in decided:
                items = report.warned if decision.act is Act.WARN else report.acted
                items.append(item_of(record, decision))
        else:
            Acting(context, self.make_context, self.teller, gpus).apply(decided, report)
        # Who is ahead of whom follows from everybody's limits: in doubt nobody loses a hold to somebody else.
        in_doubt = bool(unsure or context.rules.owners.silent_groups())
        Serving(context, self.teller, gpus).serve(report, dry_run=self.dry_run, reclaim=not in_doubt)
        if not self.dry_run:
            self._clear_up(records, report)

    def _trusts_clock(self, listed: Sequence[EngineContainer], report: Report) -> bool:
        """Return whether the clock can be trusted; then bring times in the records that lie ahead of it back to now."""
        context = self.context
        records = readable(context.ledger.read())
        reading = ClockReading(context.clock(), self.uptime())
        written = [record.last_seen for record in records] + [seen.created_at for seen in listed]
        before = context.ledger.tick_memory()
        self._last = before.believed.at if before.believed is not None else None
        self._looked = before.looked
        why, memory = check_clock(before, reading, max(written, default=None))
        context.rules.memory = memory
        if why is not None:
            report.doubts_clock(why)
        else:
            report.acted += correct_times(context, records, dry_run=self.dry_run)
        self._remember(memory, report)
        return why is None

    def _owners_in_doubt(self, records: Sequence[Record], report: Report) -> dict[str, str]:
        """Return why an owner's limits cannot be known, by container. Such a container keeps what it has."""
        context, now = self.context, self.context.clock()
        remembered = context.rules.owners.memory
        memory = replace(context.rules.owners.remember(records, now), looked=now)  # that comes next
        doubts = {}
        for record in records:
            if (why := context.rules.owners.doubt(record, now)) is not None and not is_manual(record):
                doubts[record.container_name] = why
                report.unknown.append(Item(record.container_name, "owner", why))
        for name in sorted(context.rules.owners.silent_groups()):
            why = f"the user database does not have the Unix group {name} any more: limits that depend on it stay"
            report.unknown.append(Item("", "owner", why))
        if memory != remembered:
            self._remember(memory, report)
        return doubts

    def _remember(self, memory: Memory, report: Report) -> None:
        if self.dry_run:
            return
        try:
            self.context.ledger.write_tick_memory(memory)
        except OSError as error:
            report.failed("", "tick-memory.json", error)

    def _decide(
        self, records: Sequence[Record], unsure: Collection[str], gpus: GpuObservation, report: Report
    ) -> list[tuple[Record, Decision]]:
        """What is due, with the records as they are after a look at all that run; nothing for those `unsure`."""
        context = self.context
        there = {slot.uuid for slot in gpus.slots}
        running = [record for record in records if record.state is State.RUNNING]
        seen = Looking(context, gpus, report, self.dry_run).look_at(running)
        decided = []
        for record in records:
            lost = [ref for ref in record.lease.slots if ref.uuid not in there] if record.lease else []
            report.unknown += [
                Item(
                    record.container_name,
                    LOST,
                    f"GPU {original_name(ref)} {'does not answer' if is_unobserved(ref, gpus) else 'is not there any more'}",
                )
                for ref in lost
            ]
            if record.container_name in unsure:
                continue
            judged = seen.get(record.container_name) if record.state is State.RUNNING else record
            if judged is not None and self._last is not None and context.clock() - self._last > WARNINGS_LAST:
                judged = replace(judged, warnings={})
            try:
                decision = self._judge(judged, report) if judged is not None else None
            except Exception as error:
                report.failed(record.container_name, "judge", error)
                continue
            if judged is not None and decision is not None:
                decided.append((judged, decision))
        return decided

    def _judge(self, record: Record, report: Report) -> Decision | None:
        context = self.context
        decision = decide(record, *context.rules.deadline_rules(record), now=context.clock())
        if decision is None or decision.why is not Why.IDLE:
            return decision
        activity = known(record)
        said = activity.keep_alive if activity is not None else KeepAlive.UNKNOWN.value
        if said == KeepAlive.UNKNOWN.value:
            report.unknown.append(Item(record.container_name, "keep-alive", "its workspace cannot be read"))
        elif said == KeepAlive.GONE.value:
            since = activity.gone_since if activity is not None else None
            if since is not None and context.clock() - since >= GONE_AFTER:
                return decision
            report.unknown.append(Item(record.container_name, "keep-alive", "its workspace is gone, or not mounted"))
        return decision if said == KeepAlive.ABSENT.value else None

    def _keep_processes(self, gpus: GpuObservation, report: Report) -> None:
        """Keep what only root can see of the processes on the GPUs, where /proc hides others' processes."""
        if gpus.simulated or not gpus.slots:
            return
        try:
            self.context.ledger.write_gpu_processes(to_keep(gpus, self.context.clock()))
        except OSError as error:
            report.failed("", "tick-processes.json", error)

    def _clear_up(self, records: Sequence[Record], report: Report) -> None:
        self.context.ledger.clear_up(removed_before=self.context.clock() - REMOVED_KEPT)
        if self.slices is not None:
            try:
                self.slices(self.context, records, report)
            except Exception as error:
                report.failed("", "slices", error)
