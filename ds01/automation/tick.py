"""One tick of the automation: reconcile, observe, decide, apply, report. A container's failure never stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta

from ds01.automation.activity_observation import WORKSPACE_DELETED_AFTER, KeepAlive, stored_activity
from ds01.automation.announcements import announce_changes
from ds01.automation.clock_check import check_clock
from ds01.automation.decide import Action, Decision, Rule, decide
from ds01.automation.executor import DecisionExecutor
from ds01.automation.outbox_delivery import deliver_outbox
from ds01.automation.queue_service import QueueService
from ds01.automation.report import LOST, ReportItem, TickReport, decision_item
from ds01.automation.sampler import ActivitySampler
from ds01.automation.time_corrections import correct_starts, correct_times
from ds01.dataclass import dataclass
from ds01.engines.protocol import EngineContainer
from ds01.gpus.model import GpuObservation
from ds01.gpus.slot_names import is_unobserved, original_name
from ds01.journal.notifier import Notifier
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.gpu_processes import processes_document
from ds01.lifecycle.context.slot_names import update_names_if_possible
from ds01.lifecycle.reconciliation.reconcile import preview, reconcile
from ds01.observe.accounting.tick_samples import TickObservation
from ds01.observe.outside_events import report_outside_use
from ds01.records.entries import is_manual, readable
from ds01.records.ledger import REMOVED_RETENTION
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.records.store.tick_memory import TickMemory
from ds01.system.clock import ClockReading, Uptime

WARNINGS_VALID_FOR = timedelta(hours=3)  # without a tick; after that, the first action must not be a stop
ApplySlices = Callable[[Context, Sequence[Record], TickReport], None]


@dataclass
class Tick:
    """One tick. `make_context`: creates a context for a thread, since engines and ledgers cannot be shared.

    `apply_slices`: applies the policy to the machine's slices; None if they are not ours. `uptime`: tells a step of
    the clock from elapsed time; a simulated clock has none.
    """

    context: Context
    make_context: Callable[[], Context]
    notifier: Notifier
    dry_run: bool = False
    apply_slices: ApplySlices | None = None
    uptime: Callable[[], Uptime | None] = lambda: None
    observed: TickObservation | None = field(default=None, init=False)  # for the accounting
    _last_trusted_tick: datetime | None = field(default=None, init=False)  # the last tick that trusted its clock
    _last_observation: datetime | None = field(default=None, init=False)  # the last one that observed containers

    def run(self) -> TickReport:
        """Run the tick. The caller holds the tick's lock."""
        began = time.monotonic()
        report = TickReport(self.context.clock())
        if not self.dry_run:
            deliver_outbox(self.context, self.notifier, report)
        try:
            self._run_pass(report)
        except Exception as error:
            report.add_error("", "judge", error)
        report.seconds = round(time.monotonic() - began, 3)
        return report

    def _run_pass(self, report: TickReport) -> None:
        context = self.context
        listed = context.observer.containers()
        if not self._trusts_clock(listed, report):
            return
        gpus = context.observer.gpus(utilisation=True)
        if self.dry_run:
            changes = preview(context, listed)
        else:
            changes = reconcile(context, listed, failed=lambda name, why: report.add_error(name, "reconcile", why))
        if not self.dry_run:
            update_names_if_possible(context, gpus)
            self._store_gpu_processes(gpus, report)
            self._report_outside_use(gpus, listed, report)
        report.acted += [ReportItem(change.container, "reconcile", change.what) for change in changes]
        out_of_sync = {change.container for change in changes} if self.dry_run else set()
        # Nothing is concluded from a record that could not be reconciled.
        out_of_sync |= {item.container for item in report.errors}
        if not self.dry_run:
            reliable = [
                record for record in readable(context.ledger.read()) if record.container_name not in out_of_sync
            ]
            announce_changes(context, self.notifier, reliable, report)
        all_records = readable(context.ledger.read())
        if self._last_observation is not None:
            reliable = [
                record for record in all_records if record.container_name not in out_of_sync and not is_manual(record)
            ]
            corrected = correct_starts(context, reliable, self._last_observation, dry_run=self.dry_run)
            report.acted += corrected
            all_records = readable(context.ledger.read()) if corrected else all_records
        judgeable = [
            record for record in all_records if not is_manual(record) and record.container_name not in out_of_sync
        ]
        doubtful = self._owners_in_doubt(all_records, report)
        records = sorted(judgeable, key=lambda record: record.container_name)
        report.looked_at = len(records)
        decisions = self._decide(records, doubtful, gpus, report)
        if self.dry_run:
            for record, decision in decisions:
                items = report.warned if decision.action is Action.WARN else report.acted
                items.append(decision_item(record, decision))
        else:
            DecisionExecutor(context, self.make_context, self.notifier, gpus).apply(decisions, report)
        # The queue order depends on everybody's limits: if any are in doubt, no hold is reclaimed.
        in_doubt = bool(doubtful or context.rules.owners.silent_groups())
        QueueService(context, self.notifier, gpus).serve(report, dry_run=self.dry_run, reclaim=not in_doubt)
        if not self.dry_run:
            self._delete_expired(records, report)

    def _trusts_clock(self, listed: Sequence[EngineContainer], report: TickReport) -> bool:
        """Return whether the clock can be trusted; if so, set future times in the records to now."""
        context = self.context
        records = readable(context.ledger.read())
        reading = ClockReading(context.clock(), self.uptime())
        known_times = [record.last_observed_at for record in records] + [container.created_at for container in listed]
        memory_before = context.ledger.tick_memory()
        self._last_trusted_tick = memory_before.believed.at if memory_before.believed is not None else None
        self._last_observation = memory_before.looked
        why, memory = check_clock(memory_before, reading, max(known_times, default=None))
        context.rules.memory = memory
        if why is not None:
            report.add_clock_doubt(why)
        else:
            report.acted += correct_times(context, records, dry_run=self.dry_run)
        self._store_memory(memory, report)
        return why is None

    def _owners_in_doubt(self, records: Sequence[Record], report: TickReport) -> dict[str, str]:
        """Return the reasons for uncertain limits by container name. These containers are left alone."""
        context, now = self.context, self.context.clock()
        stored_memory = context.rules.owners.memory
        memory = replace(context.rules.owners.remember(records, now), looked=now)  # the observation comes next
        doubts = {}
        for record in records:
            if (why := context.rules.owners.doubt(record, now)) is not None and not is_manual(record):
                doubts[record.container_name] = why
                report.unknown.append(ReportItem(record.container_name, "owner", why))
        for name in sorted(context.rules.owners.silent_groups()):
            why = f"the user database no longer has the Unix group {name}: limits that depend on it stay"
            report.unknown.append(ReportItem("", "owner", why))
        if memory != stored_memory:
            self._store_memory(memory, report)
        return doubts

    def _store_memory(self, memory: TickMemory, report: TickReport) -> None:
        if self.dry_run:
            return
        try:
            self.context.ledger.write_tick_memory(memory)
        except OSError as error:
            report.add_error("", "tick-memory.json", error)

    def _decide(
        self, records: Sequence[Record], doubtful: Collection[str], gpus: GpuObservation, report: TickReport
    ) -> list[tuple[Record, Decision]]:
        """Sample the running containers, and return what is due, with their records; nothing for the `doubtful`."""
        context = self.context
        present_uuids = {slot.uuid for slot in gpus.slots}
        running = [record for record in records if record.state is State.RUNNING]
        sampled = ActivitySampler(context, gpus, report, self.dry_run).sample(running)
        self.observed = TickObservation(context.clock(), gpus, tuple(sampled.values()))
        decisions = []
        for record in records:
            lost_slots = [ref for ref in record.lease.slots if ref.uuid not in present_uuids] if record.lease else []
            report.unknown += [
                ReportItem(
                    record.container_name,
                    LOST,
                    f"GPU {original_name(ref)} " + ("does not answer" if is_unobserved(ref, gpus) else "is gone"),
                )
                for ref in lost_slots
            ]
            if record.container_name in doubtful:
                continue
            current = sampled.get(record.container_name) if record.state is State.RUNNING else record
            if (
                current is not None
                and self._last_trusted_tick is not None
                and context.clock() - self._last_trusted_tick > WARNINGS_VALID_FOR
            ):
                current = replace(current, warnings={})
            try:
                decision = self._decide_record(current, report) if current is not None else None
            except Exception as error:
                report.add_error(record.container_name, "judge", error)
                continue
            if current is not None and decision is not None:
                decisions.append((current, decision))
        return decisions

    def _decide_record(self, record: Record, report: TickReport) -> Decision | None:
        context = self.context
        decision = decide(record, *context.rules.deadline_rules(record), now=context.clock())
        if decision is None or decision.rule is not Rule.IDLE:
            return decision
        activity = stored_activity(record)
        keep_alive = activity.keep_alive if activity is not None else KeepAlive.UNKNOWN.value
        if keep_alive == KeepAlive.UNKNOWN.value:
            report.unknown.append(ReportItem(record.container_name, "keep-alive", "its workspace cannot be read"))
        elif keep_alive == KeepAlive.GONE.value:
            since = activity.gone_since if activity is not None else None
            if since is not None and context.clock() - since >= WORKSPACE_DELETED_AFTER:
                return decision
            report.unknown.append(
                ReportItem(record.container_name, "keep-alive", "its workspace is gone, or not mounted")
            )
        return decision if keep_alive == KeepAlive.ABSENT.value else None

    def _store_gpu_processes(self, gpus: GpuObservation, report: TickReport) -> None:
        """Store the GPU processes, which only root can see if /proc hides others' processes."""
        if gpus.simulated or not gpus.slots:
            return
        try:
            self.context.ledger.write_gpu_processes(processes_document(gpus, self.context.clock()))
        except OSError as error:
            report.add_error("", "tick-processes.json", error)

    def _report_outside_use(self, gpus: GpuObservation, listed: Sequence[EngineContainer], report: TickReport) -> None:
        try:
            report_outside_use(self.context, gpus, listed)
        except Exception as error:
            report.add_error("", "outside", error)

    def _delete_expired(self, records: Sequence[Record], report: TickReport) -> None:
        self.context.ledger.delete_expired(removed_before=self.context.clock() - REMOVED_RETENTION)
        if self.apply_slices is not None:
            try:
                self.apply_slices(self.context, records, report)
            except Exception as error:
                report.add_error("", "slices", error)
