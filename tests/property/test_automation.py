"""Arbitrary policies, times, activity and tick spacing: nothing ends without a warning at an earlier tick."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.automation.activity import Activity, Sample, assess
from ds01.automation.decide import Action, Decision, Rule, decide
from ds01.gpus.model import Lease, SlotKind, SlotRef
from ds01.policy.model import AutomationRules, Exemption, Limits, Policy
from ds01.policy.resolve import automation_for, resolve
from ds01.records.deadlines import earliest_deadline
from ds01.records.record import Record, apply_transition, with_changes
from ds01.records.state_machine import State, Trigger
from ds01.system.data import from_json, to_json

BEGIN = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
SLOT = SlotRef("0:1", "MIG-1", SlotKind.MIG, "2g.10gb")
CONFIGURED = settings(max_examples=200, deadline=None, derandomize=True, database=None)

minutes = st.integers(0, 3000).map(lambda number: timedelta(minutes=number))
maybe = st.none() | minutes
limits_st = st.builds(
    Limits,
    idle_timeout=maybe,
    max_runtime=maybe,
    gpu_hold_after_stop=maybe,
    container_hold_after_stop=maybe,
    max_extension=maybe,
)
policies_st = st.builds(
    AutomationRules,
    warn_idle_at=st.floats(0.01, 1.0),
    warn_runtime_at=st.floats(0.01, 1.0),
    created_timeout=minutes,
)
cpu = st.sampled_from([0, 0, 0, 1, 10**12, None, -1])
steps_st = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 5, 5, 60, 600, 3000, -60, 0]),  # minutes to the next tick; the clock may go back
        st.sampled_from(["", "", "", "", "extend", "stop", "start", "behind", "policy", "conflict", "undelivered"]),
        cpu,
    ),
    max_size=60,
)


def created(policies: AutomationRules) -> Record:
    record = Record(
        "id", "installation", "thesis._.1", "thesis", "alice", 1, 1, "g", State.CREATED, "image", BEGIN,
        lease=Lease((SLOT,), BEGIN), gpus_fixed=(SLOT,),
    )  # fmt: skip
    return apply_transition(record, Trigger.CREATE, actor="alice", at=BEGIN)


@dataclass
class World:
    """One container under the automation, as the tick treats it. `warned`: (why, deadline) -> when it was delivered."""

    limits: Limits
    policies: AutomationRules
    record: Record
    now: datetime = BEGIN
    tick: int = 0
    used: int = 0
    warned: dict[tuple[Rule, datetime], int] = field(default_factory=dict)
    ended: list[Decision] = field(default_factory=list)

    def look(self, cpu: int | None) -> None:
        if cpu is not None:
            self.used = max(0, self.used + cpu)
        before = from_json(Activity, dict(self.record.activity)) if self.record.activity else None
        sample = Sample(self.now, self.record.engine_started_at, None if cpu is None else self.used, 0)
        activity = assess(before, sample, self.policies)
        assert activity.last is None or activity.last <= max(self.now, activity.sample.at)
        self.record = replace(self.record, activity=to_json(activity))

    def decide(self) -> Decision | None:
        return decide(self.record, self.limits, self.policies, now=self.now)

    def apply(self, decision: Decision, *, delivered: bool) -> None:
        if decision.action is Action.WARN:
            if delivered:
                told = {"at": to_json(self.now), "deadline": to_json(decision.deadline)}
                self.record = with_changes(self.record, warnings={**self.record.warnings, decision.rule.value: told})
                self.warned[(decision.rule, decision.deadline)] = self.tick
            return
        if decision.action in (Action.STOP, Action.REMOVE):
            assert self.warned.get((decision.rule, decision.deadline), self.tick) < self.tick, decision
            assert self.now >= decision.deadline
        self.ended.append(decision)
        trigger = {Action.STOP: Trigger.STOP, Action.RELEASE: Trigger.RELEASE, Action.REMOVE: Trigger.REMOVE}[
            decision.action
        ]
        self.go(trigger)

    def go(self, trigger: Trigger, **more: Any) -> None:
        holds = self.limits.gpu_hold_after_stop != timedelta(0)
        at = max(self.now, self.record.last_change)
        self.record = apply_transition(self.record, trigger, actor="x", at=at, holds=holds, **more)

    def act(self, what: str) -> None:
        state = self.record.state
        if what == "extend" and state is State.RUNNING:
            until = self.now + timedelta(hours=3)
            before = earliest_deadline(self.record, self.limits, self.policies)
            self.record = with_changes(self.record, extended_until=max(until, self.record.extended_until or until))
            after = earliest_deadline(self.record, self.limits, self.policies)
            assert before is None or (after is not None and after.at >= before.at)
        elif what == "stop" and state is State.RUNNING:
            self.go(Trigger.STOP)
        elif what in ("start", "behind") and state in (State.CREATED, State.HELD, State.STOPPED):
            lease = self.record.lease or Lease((SLOT,), self.now)
            self.go(Trigger.START, lease=lease, engine_started_at=self.now)
            self.used = 0
        elif what == "conflict" and state is State.STOPPED:
            self.go(Trigger.START, lease=None, conflict="somebody has it", engine_started_at=self.now)
        elif what == "policy":
            self.limits = replace(self.limits, idle_timeout=timedelta(minutes=7), max_runtime=timedelta(minutes=90))


@given(limits_st, policies_st, steps_st)
@CONFIGURED
def test_stop_and_removal_need_an_earlier_warning(
    limits: Limits, policies: AutomationRules, steps: list[tuple[int, str, int | None]]
) -> None:
    world = World(limits, policies, created(policies))
    for wait, what, cpu in steps:
        world.now += timedelta(minutes=wait)
        world.tick += 1
        world.act(what)
        if world.record.state is State.RUNNING:
            world.look(cpu)
        decision = world.decide()
        if decision is not None:
            assert world.decide() == decision
            world.apply(decision, delivered=what != "undelivered")
        if world.record.state is State.REMOVED:
            return


@given(limits_st, policies_st, st.integers(1, 600))
@CONFIGURED
def test_unattended_container_ends_at_its_deadline(limits: Limits, policies: AutomationRules, spacing: int) -> None:
    """Idle from its start, with ticks of any spacing: at most two of these late, and never early."""
    world = World(limits, policies, created(policies))
    world.go(Trigger.START, engine_started_at=BEGIN)
    ends = [span for span in (limits.idle_timeout, limits.max_runtime) if span is not None]
    world.look(0)
    while world.now - BEGIN < timedelta(minutes=3000 + 3 * spacing):
        world.now += timedelta(minutes=spacing)
        world.tick += 1
        world.look(0)
        decision = world.decide()
        if decision is not None:
            world.apply(decision, delivered=True)
        if world.record.state is not State.RUNNING:
            break
    if not ends:
        assert world.record.state is State.RUNNING
        return
    assert world.record.state in (State.HELD, State.STOPPED)
    after = world.now - BEGIN
    assert min(ends) <= after <= min(ends) + timedelta(minutes=3 * spacing)


@given(st.lists(st.tuples(st.integers(1, 100), st.none() | st.integers(0, 10**11)), min_size=1, max_size=30))
@CONFIGURED
def test_last_activity_is_monotonic_and_not_in_the_future(
    steps: list[tuple[int, int | None]],
) -> None:
    now, used = BEGIN, 0
    seen: Activity | None = None
    last: datetime | None = None
    for minutes_on, spent in steps:
        now += timedelta(minutes=minutes_on)
        used += spent or 0
        seen = assess(seen, Sample(now, BEGIN, None if spent is None else used, 0), AutomationRules())
        assert seen.last is None or seen.last <= now
        assert last is None or (seen.last is not None and seen.last >= last)
        assert seen.state != "idle" or seen.last is None or seen.last < now
        last = seen.last


@given(limits_st, policies_st, minutes)
@CONFIGURED
def test_fully_exempt_user_is_never_stopped(limits: Limits, policies: AutomationRules, wait: timedelta) -> None:
    record = created(policies)
    keys = ("idle_timeout", "max_runtime", "gpu_hold_after_stop", "container_hold_after_stop", "created_timeout")
    own = tuple((key, getattr(limits, key)) for key in keys if hasattr(limits, key))
    policy = Policy(Path("/"), defaults=dict(own), policies=policies, exemptions=(Exemption("alice", keys),))
    alice = resolve(policy, "alice", (), BEGIN)
    spared, rules = alice.limits, automation_for(policy, alice)
    for trigger in (None, Trigger.START, Trigger.STOP):
        if trigger is not None:
            record = apply_transition(record, trigger, actor="x", at=BEGIN, holds=True)
        record = replace(record, activity={"state": "idle"})
        assert decide(record, spared, rules, now=BEGIN + wait) is None
        assert earliest_deadline(record, spared, rules) is None


@given(limits_st, policies_st, minutes)
@CONFIGURED
def test_unknown_activity_is_not_idle(limits: Limits, policies: AutomationRules, wait: timedelta) -> None:
    record = apply_transition(created(policies), Trigger.START, actor="x", at=BEGIN)
    for state in ("unknown", "active", "nonsense", None, 7):
        found = decide(
            replace(record, activity={"state": state}), replace(limits, max_runtime=None), policies, now=BEGIN + wait
        )
        assert found is None
