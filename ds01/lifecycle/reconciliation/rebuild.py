"""Rebuild a lost record from the container's labels. What is not in the labels is lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime

from ds01.engines.protocol import EngineContainer
from ds01.errors import NotFound
from ds01.gpus.model import GpuRequest, Lease, SlotKind, SlotRef
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.inference import OBSERVED, infer_transitions
from ds01.placement.outside_use import uuids_from_labels
from ds01.policy.model import Limits
from ds01.policy.names import split_container_name
from ds01.records.deadlines import hold_ends
from ds01.records.record import Record, apply_transition, with_changes
from ds01.records.request import ContainerRequest
from ds01.records.state_machine import State, Trigger
from ds01.system.data import DataError, format_time, parse_time


def record_from_labels(context: Context, container: EngineContainer) -> Record:
    """Return the record with what the labels contain: identity, request, slots, creation time; no lease or history."""
    labels = container.labels
    name, uid = split_container_name(container.name) or (container.name, int(labels["ds01.uid"]))
    login, gid = labels.get("ds01.user", str(uid)), container.spec.gid if container.spec else uid
    with suppress(NotFound):  # the owner was deleted, or the user database does not answer
        account = context.users.by_uid(uid)
        login, gid = account.login, account.gid
    refs = tuple(_slot_refs(labels.get("ds01.gpu.slots", ""), uuids_from_labels(labels)))
    mounts = {mount.target: mount.source for mount in container.spec.mounts} if container.spec else {}
    return Record(
        id=labels["ds01.id"],
        installation=context.ledger.installation,
        container_name=container.name,
        name=name,
        user=login,
        uid=uid,
        gid=gid,
        group=labels.get("ds01.group", ""),
        state=State.CREATED,
        image=labels.get("ds01.image", container.image),
        created_at=min(_time(labels.get("ds01.created")) or container.created_at, context.clock()),
        project=labels.get("ds01.project", name),
        docker_id=container.id,
        own_tag=container.image if container.image.endswith(f":{container.name}") else None,
        request=ContainerRequest(
            owner=uid,
            name=name,
            image=labels.get("ds01.image", container.image),
            gpus=GpuRequest(len(refs)),
            project=labels.get("ds01.project"),
            workspace=mounts.get("/workspace"),
            data=mounts.get("/data"),
            models=mounts.get("/models"),
        ),
        gpus_fixed=refs,
        workspace=mounts.get("/workspace"),
    )


def with_inferred_state(
    record: Record, container: EngineContainer, limits: Limits, taken: Collection[str], now: datetime
) -> Record:
    """Complete the result of `record_from_labels` with the lease and the engine's state. Pure.

    `taken`: the UUIDs of the slots that others lease.
    """
    created, refs = record.created_at, record.gpus_fixed
    free = not {ref.uuid for ref in refs} & set(taken)
    lease = Lease(refs, created) if refs and free else None
    why = "rebuilt from labels"
    record = with_changes(record, resource_limits=limits)
    record = apply_transition(record, Trigger.CREATE, actor=OBSERVED, at=created, why=why, lease=lease)
    hold = limits.gpu_hold_after_stop
    record = infer_transitions(record, container, taken=taken, hold=hold, now=now).record
    if record.state is State.CREATED and refs and lease is None:
        return apply_transition(
            record, Trigger.RELEASE, actor=OBSERVED, at=now, why="its GPU is leased to another container"
        )
    ends = hold_ends(record, hold)
    if record.state is State.HELD and ends is not None and ends <= now:
        return apply_transition(record, Trigger.RELEASE, actor=OBSERVED, at=now, why="its hold is over")
    if record.state is State.RUNNING:
        # Its activity until now is lost with the record, so its idle time counts from now.
        record = with_changes(record, activity={"last": format_time(now)})
        if refs and record.lease is None and not record.conflict:
            return with_changes(record, conflict="it runs on a GPU that is leased to another container")
    return record


def _slot_refs(slots: str, uuids: Iterable[str]) -> Iterable[SlotRef]:
    for slot, uuid in zip(slots.split(";"), uuids, strict=False):
        yield SlotRef(slot, uuid, SlotKind.MIG if ":" in slot else SlotKind.FULL)


def _time(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except DataError:
        return None
