"""Carry out the decisions of a tick: first the warnings, then stops, releases and removals, several at a time.

Each is checked again under the container's lock: minutes may have passed while other containers had time to save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack

from ds01.automation.activity_observation import observe_activity, stored_activity, workspace_holds_off_stop
from ds01.automation.decide import Action, Decision, Rule, decide
from ds01.automation.notice_texts import holder_warning_notice, outcome_notice, warning_notice
from ds01.automation.report import TickReport, decision_item
from ds01.dataclass import dataclass
from ds01.errors import Busy, Ds01Error
from ds01.gpus.model import GpuObservation
from ds01.journal.notifier import Notifier
from ds01.lifecycle import stop as stopping
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.conflicts import end_conflict, find_holders
from ds01.lifecycle.reconciliation.reconcile import reconcile_one
from ds01.records.record import Record, with_changes
from ds01.system.data import format_time
from ds01.system.users import Actor

TICK_ACTOR = Actor(0, 0, "tick", "tick")
MAX_PARALLEL = 8  # containers that are stopped at the same time, each with its grace period
SAMPLE_TTL = 5.0  # seconds for which a sample is valid; the difference of two closer samples proves nothing


def lock_container(context: Context, record: Record) -> AbstractContextManager[object]:
    """Return a container's lock. Raises Busy at once if a command holds it."""
    return context.ledger.container_lock(record.container_name, doing="being handled by the tick", wait=0)


@dataclass
class DecisionExecutor:
    """Applies the decisions of one tick. `gpus`: as observed at its beginning."""

    context: Context
    make_context: Callable[[], Context]
    notifier: Notifier
    gpus: GpuObservation

    def apply(self, decisions: Sequence[tuple[Record, Decision]], report: TickReport) -> None:
        """Warn, then act. After a failure, the next tick tries again."""
        for record, decision in decisions:
            if decision.action is Action.WARN:
                try:
                    self._warn(record, decision, report)
                except Exception as error:
                    report.add_error(record.container_name, "warn", error)
        actions = [item for item in decisions if item[1].action is not Action.WARN]
        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            for (record, decision), result in zip(actions, pool.map(self._execute, actions), strict=True):
                if isinstance(result, Exception):
                    report.add_error(record.container_name, decision.action.value, result)
                elif result:
                    report.acted.append(decision_item(record, decision))

    def _warn(self, record: Record, decision: Decision, report: TickReport) -> None:
        """Warn the owner, and record the delivery: without that record no action follows."""
        context, now = self.context, self.context.clock()
        notice = warning_notice(record, decision, context.rules.limits_of(record).limits, now)
        delivered = {"at": format_time(now), "deadline": format_time(decision.deadline)}
        try:
            with lock_container(context, record):
                current = context.ledger.read().get(record.container_name)
                if not isinstance(current, Record) or (current.id, current.rev) != (record.id, record.rev):
                    return  # a command changed it meanwhile; the next tick decides again
                if not self.notifier.deliver(record, notice):
                    raise Ds01Error("the notice could not be delivered")
                with context.ledger.transaction() as ledger:
                    changes: dict[str, object] = {"warnings": {**current.warnings, decision.rule.value: delivered}}
                    if decision.rule is Rule.HOLD:
                        changes["held_until"] = decision.deadline
                    ledger.commit(with_changes(current, **changes), now=now)
        except Busy:
            return
        report.warned.append(decision_item(record, decision))
        event = {"actor": TICK_ACTOR.login, "container": record.container_name, "user": record.user}
        context.emit("warning", event | {"why": decision.rule.value, "deadline": decision.deadline})
        self.notifier.announce(record, notice)
        if decision.rule is Rule.CONFLICT:
            for holder in find_holders(context, record):
                self.notifier.notify_owner(holder, holder_warning_notice(holder, record, now))

    def _execute(self, item: tuple[Record, Decision]) -> bool | Exception:
        """Carry out a decision in a thread, with its own context. Return whether it still applied, or the error."""
        record, decision = item
        try:
            context = self.make_context()
            context.rules.memory = self.context.rules.memory
            result = self._execute_locked(context, record, decision)
            if result is not None:
                self.notifier.notify_owner(result, outcome_notice(result, decision, context.clock()))
            return result is not None
        except Exception as error:
            return error

    def _execute_locked(self, context: Context, record: Record, decision: Decision) -> Record | None:
        with ExitStack() as stack:
            try:
                stack.enter_context(lock_container(context, record))
            except Busy:
                return None  # the next tick tries again
            reconcile_one(context, record.container_name)
            current = context.ledger.read().get(record.container_name)
            if not isinstance(current, Record) or (current.id, current.state) != (record.id, record.state):
                return None
            if context.rules.owners.doubt(current, context.clock()) is not None:
                return None  # the user database stopped answering meanwhile
            decision_now = decide(current, *context.rules.deadline_rules(current), now=context.clock())
            if decision_now != decision or (decision.rule is Rule.IDLE and not self._still_idle(context, current)):
                return None
            if decision.rule is Rule.CONFLICT and end_conflict(context, record.container_name):
                return None
            return _end_container(context, current, decision)

    def _still_idle(self, context: Context, record: Record) -> bool:
        """Return whether the container is still idle, and its workspace still does not put off the stop."""
        before, now = stored_activity(record), context.clock()
        if before is not None and (now - before.sample.at).total_seconds() < SAMPLE_TTL:
            return True
        holds_off_stop = workspace_holds_off_stop(record, now=now, longest=context.rules.policy.policies.keep_alive_max)
        return holds_off_stop is False and observe_activity(context, record, self.gpus).state == "idle"


def _end_container(context: Context, record: Record, decision: Decision) -> Record:
    why = {
        Rule.IDLE: "idle",
        Rule.RUNTIME: "max_runtime",
        Rule.CONFLICT: record.conflict or "conflict",
        Rule.HOLD: "the hold is over",
        Rule.CREATED: "it was never started",
        Rule.REMOVAL: "stopped for too long",
        Rule.RECLAIM: "a waiter of higher priority needs it",
    }[decision.rule]
    if decision.action is Action.STOP:
        return stopping.stop(context, TICK_ACTOR, record, grace=None, why=why)[0]
    if decision.action is Action.RELEASE:
        return stopping.release_lease(context, TICK_ACTOR, record, why=why)
    return stopping.remove(context, TICK_ACTOR, record, why=why)
