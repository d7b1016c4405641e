"""Draws the views of records, containers and GPUs."""

from __future__ import annotations

from ds01.api.views import ContainerView, PortView, SlotView
from ds01.engines.protocol import EngineContainer
from ds01.gpus.model import SlotRef
from ds01.policy.model import AutomationRules, Limits
from ds01.records.deadlines import earliest_deadline, held_until, idle_since, is_idle, is_kept_alive
from ds01.records.record import Record


def view(
    record: Record, limits: Limits, policies: AutomationRules, seen: EngineContainer | None = None
) -> ContainerView:
    """A record, and what the engine's list adds."""
    ports = seen.ports if seen is not None else ()
    return ContainerView(
        name=record.name,
        container=record.container_name,
        user=record.user,
        uid=record.uid,
        state=record.state.value,
        paused=record.paused,
        image=record.image,
        project=record.project,
        gpus=_slots(record.lease.slots if record.lease else ()),
        gpus_fixed=_slots(record.gpus_fixed),
        ports=tuple(PortView(port.container_port, port.host_port, port.host_ip) for port in ports),
        created_at=record.created_at,
        started_at=record.started_at,
        stopped_at=record.stopped_at,
        held_until=held_until(record, limits),
        idle_since=idle_since(record) if is_idle(record) else None,
        kept_alive=is_kept_alive(record),
        deadline=earliest_deadline(record, limits, policies),
        docker_id=record.docker_id,
        conflict=record.conflict,
        ended=record.ended,
        origin=record.origin,
    )


def foreign_view(seen: EngineContainer) -> ContainerView:
    """A container that ds01 did not make."""
    return ContainerView(
        name=seen.name,
        container=seen.name,
        user=seen.labels.get("aime.mlc.USER") or None,
        uid=None,
        state=seen.status.value,
        paused=seen.status.value == "paused",
        image=seen.image,
        project=None,
        gpus=(),
        gpus_fixed=(),
        ports=tuple(PortView(port.container_port, port.host_port, port.host_ip) for port in seen.ports),
        created_at=seen.created_at,
        started_at=seen.started_at,
        stopped_at=seen.finished_at,
        held_until=None,
        idle_since=None,
        kept_alive=False,
        deadline=None,
        docker_id=seen.id,
        conflict=None,
        ended=None,
        origin=None,
    )


def _slots(refs: tuple[SlotRef, ...]) -> tuple[SlotView, ...]:
    return tuple(SlotView(ref.slot, ref.uuid, ref.kind, ref.profile, ref.was) for ref in refs)
