"""A record from a container's labels, where the record itself was lost. What only it knew is lost with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ds01.engines.protocol import EngineContainer
from ds01.gpus.model import GpuRequest, Kind, Lease, SlotRef
from ds01.gpus.occupancy import labelled_uuids
from ds01.lifecycle.deadlines import hold_ends
from ds01.lifecycle.judge import OBSERVED, judge
from ds01.lifecycle.ledger import Transaction
from ds01.lifecycle.machine import State, Trigger
from ds01.lifecycle.record import Record, move, settle
from ds01.lifecycle.request import ContainerRequest
from ds01.lifecycle.world import World, taken_uuids
from ds01.policy.names import split_container_name
from ds01.system.data import DataError, format_time, parse_time


def rebuilt(world: World, seen: EngineContainer, ledger: Transaction) -> Record:
    """The record that its labels give: identity, request, slots, creation time. The ledger's lock is held."""
    labels = seen.labels
    name, uid = split_container_name(seen.name) or (seen.name, int(labels["ds01.uid"]))
    account = world.users.by_uid(uid)
    limits = world.limits(account)
    now = world.clock()
    refs = tuple(_refs(labels.get("ds01.gpu.slots", ""), labelled_uuids(labels)))
    created = min(_time(labels.get("ds01.created")) or seen.created_at, now)
    mounts = {mount.target: mount.source for mount in seen.spec.mounts} if seen.spec else {}
    record = Record(
        id=labels["ds01.id"],
        installation=world.ledger.installation,
        container_name=seen.name,
        name=name,
        user=account.login,
        uid=uid,
        gid=account.gid,
        group=labels.get("ds01.group", limits.group),
        state=State.CREATED,
        image=labels.get("ds01.image", seen.image),
        created_at=created,
        project=labels.get("ds01.project", name),
        docker_id=seen.id,
        own_tag=seen.image if seen.image.endswith(f":{seen.name}") else None,
        request=ContainerRequest(
            owner=uid,
            name=name,
            image=labels.get("ds01.image", seen.image),
            gpus=GpuRequest(len(refs)),
            project=labels.get("ds01.project"),
            workspace=mounts.get("/workspace"),
            data=mounts.get("/data"),
            models=mounts.get("/models"),
        ),
        gpus_fixed=refs,
        resource_limits=limits.limits,
        workspace=mounts.get("/workspace"),
    )
    taken = taken_uuids(ledger.records, but=seen.name)
    free = not {ref.uuid for ref in refs} & taken
    lease = Lease(refs, created) if refs and free else None
    record = move(record, Trigger.CREATE, actor=OBSERVED, at=created, why="rebuilt from labels", lease=lease)
    hold = limits.limits.gpu_hold_after_stop
    record = judge(record, seen, taken=taken, hold=hold, now=now).record
    if record.state is State.CREATED and refs and lease is None:
        return move(record, Trigger.RELEASE, actor=OBSERVED, at=now, why="somebody else has its GPU")
    ends = hold_ends(record, hold)
    if record.state is State.HELD and ends is not None and ends <= now:
        return move(record, Trigger.RELEASE, actor=OBSERVED, at=now, why="its hold is over")
    if record.state is State.RUNNING:
        # What it did until now is lost with the record: its idle time counts from now.
        record = settle(record, activity={"last": format_time(now)})
        if refs and record.lease is None and not record.conflict:
            return settle(record, conflict="it runs on a GPU that somebody else has")
    return record


def _refs(slots: str, uuids: Iterable[str]) -> Iterable[SlotRef]:
    for slot, uuid in zip(slots.split(";"), uuids, strict=False):
        yield SlotRef(slot, uuid, Kind.MIG if ":" in slot else Kind.FULL)


def _time(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except DataError:
        return None
