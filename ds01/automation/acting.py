"""Carries the decisions out: warnings first, then what ends something, several side by side.

Each is checked again under the container's lock: minutes may have passed while others were given time to save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from ds01.automation.decide import Act, Decision, Why, decide
from ds01.automation.observe import keeps_alive, known, look
from ds01.automation.report import Report, item_of
from ds01.automation.telling import outcome, warning, warning_of_holder
from ds01.errors import Busy, Ds01Error
from ds01.gpus.model import GpuObservation
from ds01.journal.notifier import Teller
from ds01.lifecycle import stop as stopping
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.conflicts import end_conflict, holders
from ds01.lifecycle.reconciliation.reconcile import one
from ds01.records.record import Record, settle
from ds01.system.data import format_time
from ds01.system.users import Actor

TICK = Actor(0, 0, "tick", "tick")
AT_ONCE = 8  # containers that are stopped side by side, each with its grace
FRESH = 5.0  # seconds for which a look is still good; the difference of two that are closer proves nothing


def lock_of(context: Context, record: Record) -> AbstractContextManager[object]:
    """A container's lock, or Busy at once: what a command is at work on is left to it."""
    return context.ledger.container_lock(record.container_name, doing="being handled by the tick", wait=0)


@dataclass
class Acting:
    """What applies the decisions of one pass; `gpus` are as they were at its begin."""

    context: Context
    make_context: Callable[[], Context]
    teller: Teller
    gpus: GpuObservation

    def apply(self, decided: Sequence[tuple[Record, Decision]], report: Report) -> None:
        """Warn, then act. What fails is tried again at the next tick."""
        for record, decision in decided:
            if decision.act is Act.WARN:
                try:
                    self._warn(record, decision, report)
                except Exception as error:
                    report.failed(record.container_name, "warn", error)
        acts = [pair for pair in decided if pair[1].act is not Act.WARN]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for (record, decision), done in zip(acts, pool.map(self._act, acts), strict=True):
                if isinstance(done, Exception):
                    report.failed(record.container_name, decision.act.value, done)
                elif done:
                    report.acted.append(item_of(record, decision))

    def _warn(self, record: Record, decision: Decision, report: Report) -> None:
        """Tell the owner, and write down that it was delivered: without that nothing follows."""
        context, now = self.context, self.context.clock()
        notice = warning(record, decision, context.rules.limits_of(record).limits, now)
        told = {"at": format_time(now), "deadline": format_time(decision.deadline)}
        try:
            with lock_of(context, record):
                current = context.ledger.read().get(record.container_name)
                if not isinstance(current, Record) or (current.id, current.rev) != (record.id, record.rev):
                    return  # a command changed it meanwhile; the next tick looks again
                if not self.teller.deliver(record, notice):
                    raise Ds01Error("the notice could not be delivered")
                with context.ledger.transaction() as ledger:
                    changes: dict[str, object] = {"warnings": {**current.warnings, decision.why.value: told}}
                    if decision.why is Why.HOLD:
                        changes["held_until"] = decision.deadline
                    ledger.commit(settle(current, **changes), now=now)
        except Busy:
            return
        report.warned.append(item_of(record, decision))
        facts = {"actor": TICK.login, "container": record.container_name, "user": record.user}
        context.emit("warning", facts | {"why": decision.why.value, "deadline": decision.deadline})
        self.teller.announce(record, notice)
        if decision.why is Why.CONFLICT:
            for holder in holders(context, record):
                self.teller.tell(holder, warning_of_holder(holder, record, now))

    def _act(self, pair: tuple[Record, Decision]) -> bool | Exception:
        """Do it; whether it was done, since it may hold no longer. Runs in a thread, in a context of its own."""
        record, decision = pair
        try:
            context = self.make_context()
            context.rules.memory = self.context.rules.memory
            done = self._carry_out(context, record, decision)
            if done is not None:
                self.teller.tell(done, outcome(done, decision, context.clock()))
            return done is not None
        except Exception as error:
            return error

    def _carry_out(self, context: Context, record: Record, decision: Decision) -> Record | None:
        with ExitStack() as stack:
            try:
                stack.enter_context(lock_of(context, record))
            except Busy:
                return None  # the next tick looks again
            one(context, record.container_name)
            current = context.ledger.read().get(record.container_name)
            if not isinstance(current, Record) or (current.id, current.state) != (record.id, record.state):
                return None
            if context.rules.owners.doubt(current, context.clock()) is not None:
                return None  # the user database stopped answering meanwhile
            again = decide(current, *context.rules.deadline_rules(current), now=context.clock())
            if again != decision or (decision.why is Why.IDLE and not self._still_idle(context, current)):
                return None
            if decision.why is Why.CONFLICT and end_conflict(context, record.container_name):
                return None
            return _end(context, current, decision)

    def _still_idle(self, context: Context, record: Record) -> bool:
        """Whether what was idle at the last look is so still, and its owner still lets it be stopped."""
        before, now = known(record), context.clock()
        if before is not None and (now - before.sample.at).total_seconds() < FRESH:
            return True
        wanted = keeps_alive(record, now=now, longest=context.rules.policy.policies.keep_alive_max)
        return wanted is False and look(context, record, self.gpus).state == "idle"


def _end(context: Context, record: Record, decision: Decision) -> Record:
    why = {
        Why.IDLE: "idle",
        Why.RUNTIME: "max_runtime",
        Why.CONFLICT: record.conflict or "conflict",
        Why.HOLD: "the hold is over",
        Why.CREATED: "it was never started",
        Why.REMOVAL: "stopped for long",
        Why.RECLAIM: "somebody of higher priority waits",
    }[decision.why]
    if decision.act is Act.STOP:
        return stopping.stop(context, TICK, record, grace=None, why=why)[0]
    if decision.act is Act.RELEASE:
        return stopping.give_back(context, TICK, record, why=why)
    return stopping.remove(context, TICK, record, why=why)
