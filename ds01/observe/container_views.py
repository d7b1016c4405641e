"""Build the views of records, containers and GPUs."""

from __future__ import annotations

from ds01.api.views import ContainerView, PortView, SlotView
from ds01.engines.protocol import EngineContainer
from ds01.gpus.model import SlotRef
from ds01.policy.model import AutomationRules, Limits
from ds01.records.deadlines import earliest_deadline, held_until, idle_since, is_idle, is_kept_alive
from ds01.records.record import Record


def view(
    record: Record, limits: Limits, policies: AutomationRules, container: EngineContainer | None = None
) -> ContainerView:
    """Return the view of a record, with the ports from the engine's list."""
    ports = container.ports if container is not None else ()
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


def foreign_view(container: EngineContainer) -> ContainerView:
    """Return the view of a container from outside ds01."""
    return ContainerView(
        name=container.name,
        container=container.name,
        user=container.labels.get("aime.mlc.USER") or None,
        uid=None,
        state=container.status.value,
        paused=container.status.value == "paused",
        image=container.image,
        project=None,
        gpus=(),
        gpus_fixed=(),
        ports=tuple(PortView(port.container_port, port.host_port, port.host_ip) for port in container.ports),
        created_at=container.created_at,
        started_at=container.started_at,
        stopped_at=container.finished_at,
        held_until=None,
        idle_since=None,
        kept_alive=False,
        deadline=None,
        docker_id=container.id,
        conflict=None,
        ended=None,
        origin=None,
    )


def _slots(refs: tuple[SlotRef, ...]) -> tuple[SlotView, ...]:
    return tuple(SlotView(ref.slot, ref.uuid, ref.kind, ref.profile, ref.was) for ref in refs)
