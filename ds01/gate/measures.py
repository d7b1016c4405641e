"""Handlers of the operations that measure containers: processes, sizes, usage, AIME's list."""

from __future__ import annotations

import time
from contextlib import suppress

from ds01.api.answers import AimeView, Sized, SlotUsage, UsageAdvice, UsageView
from ds01.api.listing import ListContainers
from ds01.api.measures import CountOtherProcesses, CountProcesses, GetSizes, GetUsage, GetUsageAdvice, ListAime
from ds01.api.views import ContainerView
from ds01.engines.protocol import ContainerUsage, EngineContainer
from ds01.errors import EngineConflict, EngineRejected, GpusUnreachable, UsageError
from ds01.gate.call import Call
from ds01.gate.queries import list_containers
from ds01.gpus.model import GpuObservation
from ds01.lifecycle.spec.aime import left_inside
from ds01.observe.container_views import foreign_view
from ds01.records.record import Record
from ds01.records.state_machine import State

MAX_SECONDS = 60.0  # a measurement keeps its caller waiting


def list_aime(call: Call, operation: ListAime) -> tuple[AimeView, ...]:
    """List containers as AIME's tools do."""
    listing = list_containers(call, ListContainers(owner=operation.owner, all_users=operation.all_users))
    views = []
    for container in listing.containers:
        detail = _inspected(call, container.docker_id or "", sizes=operation.sizes)
        if detail is not None:
            views.append(aime_view(container, detail, adoptable=False))
    for name in listing.adoptable:
        detail = _inspected(call, name, sizes=operation.sizes)
        if detail is not None:
            views.append(aime_view(foreign_view(detail), detail, adoptable=True))
    return tuple(views)


def count_processes(call: Call, operation: CountProcesses) -> int:
    """Count the processes that a stop would end."""
    from ds01.lifecycle.stop import count_processes

    return count_processes(call.context, call.record(operation.container))


def count_other_processes(call: Call, operation: CountOtherProcesses) -> int:
    """Count the processes without process 1."""
    record = call.record(operation.container)
    if record.docker_id is None or record.state is not State.RUNNING or record.paused:
        return 0
    return left_inside(call.context.engine.processes(record.docker_id))


def get_sizes(call: Call, operation: GetSizes) -> tuple[Sized, ...]:
    """Return the sizes of containers; unknown for a container that the engine cannot inspect."""
    sizes = []
    for name in operation.containers:
        record = call.record(name)
        container = None
        with suppress(EngineConflict, EngineRejected):
            container = call.context.engine.inspect(record.docker_id, size=True) if record.docker_id else None
        sizes.append(Sized(call.view(record, container), container.size_bytes if container else None))
    return tuple(sizes)


def get_usage(call: Call, operation: GetUsage) -> tuple[UsageView, ...]:
    """Measure twice, and return the usage of the running ones."""
    if not 0 < operation.over <= MAX_SECONDS:
        raise UsageError(f"use cannot be measured over {operation.over} seconds", hint=f"at most {MAX_SECONDS}")
    records = [call.record(name) for name in operation.containers]
    running = {record.docker_id: record for record in records if record.state is State.RUNNING and record.docker_id}
    begin = time.monotonic()
    first = call.context.engine.usages(dict.fromkeys(running))
    call.context.sleep(operation.over)
    seconds = max(operation.over, time.monotonic() - begin)  # a busy machine takes longer
    second = call.context.engine.usages({container: usage.pid for container, usage in first.items()})
    gpus = _busy_gpus(call) if any(record.lease for record in running.values()) else None
    unknown = ContainerUsage(None, None, None, None)
    return tuple(
        _usage_view(call, record, first.get(container, unknown), second.get(container, unknown), seconds, gpus)
        for container, record in running.items()
    )


def get_usage_advice(call: Call, operation: GetUsageAdvice) -> UsageAdvice | None:
    """Return an advice on a container's lease."""
    return _advise(call, call.stored_record(operation.container))


def _advise(call: Call, record: Record) -> UsageAdvice | None:
    """Return an advice. What it needs is loaded here: a stop without a lease does not wait for SQLite."""
    if record.lease is None:
        return None
    from ds01.api.server import GetGpuStatus
    from ds01.gate.server import get_gpu_status
    from ds01.observe.lease_advice import advise_on_lease

    path = call.context.ledger.accounting_path
    return advise_on_lease(record, path, call.context.clock(), lambda: get_gpu_status(call, GetGpuStatus()).present)


def _usage_view(
    call: Call,
    record: Record,
    before: ContainerUsage,
    now: ContainerUsage,
    seconds: float,
    gpus: GpuObservation | None,
) -> UsageView:
    is_same_run = before.pid == now.pid  # else its counters began again in between
    cpu = _rate(before.cpu_nanoseconds, now.cpu_nanoseconds, seconds) if is_same_run else None
    limits = record.resource_limits
    return UsageView(
        record.name,
        record.container_name,
        record.user,
        None if cpu is None else cpu / 1e9 * 100,
        limits.max_cpus,
        now.memory_bytes,
        limits.memory or now.memory_limit_bytes,
        now.pids,
        limits.pids_limit,
        _rate(before.io_read_bytes, now.io_read_bytes, seconds) if is_same_run else None,
        _rate(before.io_write_bytes, now.io_write_bytes, seconds) if is_same_run else None,
        _rate(before.network_bytes, now.network_bytes, seconds) if is_same_run else None,
        call.view(record).gpus,
        slot_usage(record, gpus),
        _advise(call, record),
    )


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    """Return a counter's growth for each second; None if it is unknown."""
    return None if before is None or now is None else max(0.0, (now - before) / seconds)


def _busy_gpus(call: Call) -> GpuObservation | None:
    try:
        return call.context.observer.gpus(utilisation=True)
    except GpusUnreachable:
        return None


def _inspected(call: Call, reference: str, *, sizes: bool) -> EngineContainer | None:
    """Inspect a container; if that fails, return it as listed."""
    try:
        return call.context.engine.inspect(reference, size=sizes)
    except (EngineConflict, EngineRejected):
        listed = call.context.observer.containers_again()
        return next((container for container in listed if reference in (container.id, container.name)), None)


def aime_view(container: ContainerView, detail: EngineContainer, *, adoptable: bool) -> AimeView:
    """Return the view of a container for AIME's tools, with the values of its `aime.mlc` labels."""
    labels = {key: detail.labels.get(f"aime.mlc.{key}") for key in ("FRAMEWORK", "ARCH", "WORK_MOUNT", "DATA_MOUNT")}
    return AimeView(
        container,
        labels["FRAMEWORK"],
        labels["ARCH"],
        labels["WORK_MOUNT"],
        labels["DATA_MOUNT"],
        detail.labels.get("aime.mlc.MODELS_MOUNT"),
        detail.exit_code,
        detail.size_bytes,
        adoptable,
    )


def slot_usage(record: Record, gpus: GpuObservation | None) -> tuple[SlotUsage, ...]:
    """Return a running container's use of each slot of its lease."""
    by_uuid = {slot.uuid: slot for slot in gpus.slots} if gpus else {}
    usages = []
    for ref in record.lease.slots if record.lease else ():
        slot = by_uuid.get(ref.uuid)
        if gpus is None or slot is None:
            usages.append(SlotUsage(ref.slot, None, None, None, None))
            continue
        processes = slot.processes
        own_processes = (
            None if processes is None else sum(process.container == record.docker_id for process in processes)
        )
        busy = gpus.utilisation_of(slot)
        usages.append(SlotUsage(ref.slot, busy, slot.memory_used_bytes, slot.memory_bytes, own_processes))
    return tuple(usages)
