"""One pass of the automation: reconcile, observe, decide, apply, report. One container's failure never stops it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from ds01.automation.decide import Act, Decision, Why, decide
from ds01.automation.observe import keeps_alive, look
from ds01.automation.reclaim import to_reclaim
from ds01.automation.telling import Teller, outcome, warning
from ds01.errors import Busy, Ds01Error
from ds01.gpus.model import Observation
from ds01.lifecycle import stop as stopping
from ds01.lifecycle.create import in_line
from ds01.lifecycle.ledger import REMOVED_KEPT
from ds01.lifecycle.machine import State
from ds01.lifecycle.reconcile import one, reconcile
from ds01.lifecycle.record import Record, settle
from ds01.lifecycle.world import World, is_manual, readable
from ds01.policy.resolve import is_exempt
from ds01.system.data import format_time, to_json
from ds01.system.users import Actor

TICK = Actor(0, 0, "tick", (), "tick")
AT_ONCE = 8  # containers that are stopped side by side, each with its grace
EXEMPTIBLE = ("idle_timeout", "max_runtime", "gpu_hold_after_stop", "container_hold_after_stop", "created_timeout")


@dataclass(frozen=True)
class Item:
    """What was done to one container, or would be; and why."""

    container: str
    action: str
    why: str


@dataclass
class Report:
    """The record of a pass, `tick.json`."""

    started_at: datetime
    seconds: float = 0.0
    looked_at: int = 0
    acted: list[Item] = field(default_factory=list)
    warned: list[Item] = field(default_factory=list)
    unknown: list[Item] = field(default_factory=list)
    errors: list[Item] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything could be judged and done."""
        return not self.errors


@dataclass
class Tick:
    """One pass. `make_world` makes a world of its own for a thread: engines and ledgers are for one only."""

    world: World
    make_world: Callable[[], World]
    teller: Teller
    dry_run: bool = False

    def run(self) -> Report:
        """Do the pass. The caller holds the tick's lock."""
        began = time.monotonic()
        report = Report(self.world.clock())
        try:
            self._pass(report)
        except Ds01Error as error:
            report.errors.append(Item("", "judge", _line(error)))
        report.seconds = round(time.monotonic() - began, 3)
        return report

    def _pass(self, report: Report) -> None:
        world = self.world
        listed = world.listed()
        gpus = world.observe_gpus()
        if not self.dry_run:
            for change in reconcile(world, listed):
                report.acted.append(Item(change.container, "reconcile", change.what))
        records = [record for record in readable(world.ledger.read()) if not is_manual(record)]
        report.looked_at = len(records)
        decided = []
        for record in records:
            try:
                judged, decision = self._judge(record, gpus, report)
            except Ds01Error as error:
                report.errors.append(Item(record.container_name, "judge", _line(error)))
                continue
            if decision is not None:
                decided.append((judged, decision))
        self._apply(decided, report)
        self._serve_the_line(gpus, report)
        if not self.dry_run:
            world.ledger.forget_removed(before=world.clock() - REMOVED_KEPT)

    def _judge(self, record: Record, gpus: Observation, report: Report) -> tuple[Record, Decision | None]:
        """Look at one container, keep what was seen, and decide. The record as it is now, and the decision."""
        world = self.world
        if record.state is State.RUNNING and not record.paused:
            activity = look(world, record, gpus)
            if activity.state == "unknown" and activity.why is not None:
                report.unknown.append(Item(record.container_name, "activity", activity.why))
            record = dataclasses.replace(record, activity=to_json(activity))
            if not self.dry_run:
                record = self._keep(record)
        limits, policies = world.limits_of(record).limits, world.policy.policies
        decision = decide(record, limits, policies, exempt=_exempt(world, record), now=world.clock())
        if decision is None or decision.why is not Why.IDLE:
            return record, decision
        wanted = keeps_alive(record, now=world.clock(), longest=policies.keep_alive_max)
        if wanted is None:
            report.unknown.append(Item(record.container_name, "keep-alive", "its workspace cannot be read"))
        return record, decision if wanted is False else None

    def _keep(self, record: Record) -> Record:
        """Write what was seen, unless a command changed the record meanwhile: then the next tick looks again."""
        with self.world.ledger.transaction() as ledger:
            known = ledger.records.get(record.container_name)
            if isinstance(known, Record) and (known.id, known.rev) == (record.id, record.rev):
                return ledger.commit(record, now=self.world.clock(), durable=False)
        return record

    def _apply(self, decided: list[tuple[Record, Decision]], report: Report) -> None:
        if self.dry_run:
            for record, decision in decided:
                items = report.warned if decision.act is Act.WARN else report.acted
                items.append(_item(record, decision))
            return
        for record, decision in decided:
            if decision.act is Act.WARN:
                self._warn(record, decision, report)
        acts = [(record, decision) for record, decision in decided if decision.act is not Act.WARN]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for (record, decision), done in zip(acts, pool.map(lambda pair: self._act(*pair), acts), strict=True):
                if isinstance(done, Ds01Error):
                    report.errors.append(Item(record.container_name, decision.act.value, _line(done)))
                elif done is not None:
                    report.acted.append(_item(record, decision))
                    self.teller.tell(done, outcome(done, decision, self.world.clock()))

    def _serve_the_line(self, gpus: Observation, report: Report) -> None:
        """Drop waiters that are gone; where the policy says so, end holds for those of higher priority."""
        world = self.world
        line = world.ledger.line()
        if not self.dry_run:
            report.acted += [Item(identity, "drop", "it waits no more") for identity in line.drop_gone()]
        waiters = line.waiters()
        if not world.policy.reclaim_held or not waiters:
            return
        entries = world.ledger.read()
        situation = world.situation(entries, gpus, world.foreign(entries, world.listed()))
        for lease in to_reclaim(situation, in_line(world, waiters, entries)):
            record = entries[lease.container]
            if not isinstance(record, Record) or is_manual(record):
                continue
            decision = Decision(Act.RELEASE, Why.RECLAIM, world.clock())
            if self.dry_run:
                report.acted.append(_item(record, decision))
                continue
            # First the word, then the deed: the owner is told at the same moment as the waiter may have it.
            if not self.teller.tell(record, outcome(record, decision, world.clock())):
                report.errors.append(Item(record.container_name, "reclaim", "the notice could not be delivered"))
                continue
            try:
                with world.ledger.container_lock(record.container_name, doing="being reclaimed by the tick", wait=0):
                    one(world, record.container_name)
                    current = world.ledger.read().get(record.container_name)
                    if isinstance(current, Record) and (current.id, current.state) == (record.id, State.HELD):
                        stopping.give_back(world, TICK, current, why="somebody of higher priority waits")
                        report.acted.append(_item(record, decision))
            except Ds01Error as error:
                report.errors.append(Item(record.container_name, "reclaim", _line(error)))

    def _warn(self, record: Record, decision: Decision, report: Report) -> None:
        """Tell the owner, and write down that it was delivered: without that nothing follows."""
        now = self.world.clock()
        if not self.teller.tell(record, warning(record, decision, now)):
            report.errors.append(Item(record.container_name, "warn", "the notice could not be delivered"))
            return
        told = {"at": format_time(now), "deadline": format_time(decision.deadline)}
        changed = settle(record, pending=record.pending, warnings={**record.warnings, decision.why.value: told})
        try:
            with self.world.ledger.transaction() as ledger:
                ledger.commit(changed, now=now)
        except Ds01Error as error:
            report.errors.append(Item(record.container_name, "warn", _line(error)))
            return
        report.warned.append(_item(record, decision))
        facts = {"actor": TICK.login, "container": record.container_name, "user": record.user}
        self.world.emit("warning", facts | {"why": decision.why.value, "deadline": decision.deadline})

    def _act(self, record: Record, decision: Decision) -> Record | Ds01Error | None:
        """Do it, after checking that it still holds; None if it does not. Runs in a thread, in a world of its own."""
        try:
            world = self.make_world()
            name = record.container_name
            with world.ledger.container_lock(name, doing=f"being handled by the tick ({decision.why.value})", wait=0):
                one(world, name)
                current = world.ledger.read().get(name)
                if not isinstance(current, Record) or (current.id, current.state) != (record.id, record.state):
                    return None
                limits, policies = world.limits_of(current).limits, world.policy.policies
                again = decide(current, limits, policies, exempt=_exempt(world, current), now=world.clock())
                if again != decision:
                    return None
                return _carry_out(world, current, decision)
        except Busy:
            return None  # a command is at work on it; the next tick looks again
        except Ds01Error as error:
            return error


def _exempt(world: World, record: Record) -> list[str]:
    return [name for name in EXEMPTIBLE if is_exempt(world.policy, record.user, name, world.clock())]


def _carry_out(world: World, record: Record, decision: Decision) -> Record:
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
        return stopping.stop(world, TICK, record, grace=None, why=why)[0]
    if decision.act is Act.RELEASE:
        return stopping.give_back(world, TICK, record, why=why)
    return stopping.remove(world, TICK, record, why=why)


def _item(record: Record, decision: Decision) -> Item:
    why = f"{decision.why.value}, due {format_time(decision.deadline)}"
    return Item(record.container_name, decision.act.value, why)


def _line(error: Ds01Error) -> str:
    return f"{error.message}: {error.why}" if error.why else error.message
