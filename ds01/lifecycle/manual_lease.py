"""Manual leases: `ds01 gpu allocate` creates a record without a container. Only `release` ends it."""

from __future__ import annotations

import secrets

from ds01.api.refusals import error_of
from ds01.errors import InvalidState
from ds01.gpus.model import GpuRequest, Lease, Refusal
from ds01.lifecycle.context.allocation import allocation_input
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.slot_names import update_names
from ds01.lifecycle.snapshot import take_snapshot
from ds01.placement.allocation_input import Requester
from ds01.placement.allocator import choose_slots
from ds01.policy.model import Limits
from ds01.policy.names import container_name
from ds01.records.record import Origin, Record, apply_transition
from ds01.records.state_machine import State, Trigger
from ds01.system.users import Account, Actor


def allocate(context: Context, actor: Actor, owner: Account, name: str, request: GpuRequest, limits: Limits) -> Record:
    """Lease slots without a container. `limits`: the owner's, possibly changed by an administrator."""
    group = context.rules.limits(owner).group
    full = container_name(name, owner.uid)
    snapshot = take_snapshot(context)
    with context.ledger.transaction() as ledger:
        update_names(ledger, snapshot.gpus, now=context.clock())
        if full in ledger.records:
            raise InvalidState(
                f"the name {name} is taken",
                why=f"{owner.login} has a container or a lease by hand of that name",
                hint="choose another name; `ds01 gpu status` shows who has which",
                code="name.taken",
            )
        situation = allocation_input(context, ledger.records, snapshot.gpus, snapshot.outside)  # ahead of the queue
        choice = choose_slots(situation, request, Requester(owner.login, owner.uid, group, full), limits)
        if isinstance(choice, Refusal):
            raise error_of(choice)
        if not choice.slots:
            raise InvalidState(f"no GPU for {owner.login}", why="the quota is 0, or the server has none")
        now = context.clock()
        refs = tuple(slot.ref for slot in choice.slots)
        record = Record(
            id=secrets.token_hex(16),
            installation=context.ledger.installation,
            container_name=full,
            name=name,
            project=name,
            user=owner.login,
            uid=owner.uid,
            gid=owner.gid,
            group=group,
            state=State.CREATED,
            origin=Origin.MANUAL,
            image="-",
            created_at=now,
            lease=Lease(refs, now, "manual"),
            gpus_fixed=refs,
            resource_limits=limits,
        )
        record = apply_transition(record, Trigger.CREATE, actor=actor.login, at=now, why="allocated by hand")
        return ledger.commit(apply_transition(record, Trigger.START, actor=actor.login, at=now), now=now)


def release(context: Context, actor: Actor, record: Record) -> Record:
    """End a manual lease and its record."""
    with context.ledger.transaction() as ledger:
        now = context.clock()
        trigger = Trigger.STOP if record.state is State.RUNNING else Trigger.RELEASE
        if record.state is not State.STOPPED:
            record = apply_transition(record, trigger, actor=actor.login, at=now, why="released by hand")
        return ledger.commit(apply_transition(record, Trigger.REMOVE, actor=actor.login, at=now), now=now)


def mark(context: Context, actor: Actor, record: Record, trigger: Trigger) -> Record:
    """Apply a start or stop to a manual lease: it becomes running or held."""
    wanted = State.RUNNING if trigger is Trigger.START else State.HELD
    if record.state is wanted:
        return record
    with context.ledger.transaction() as ledger:
        now = context.clock()
        return ledger.commit(apply_transition(record, trigger, actor=actor.login, at=now, holds=True), now=now)
