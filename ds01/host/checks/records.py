"""Check the records against Docker, NVML, the containers' labels and each other. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ds01.engines.protocol import ContainerStatus, EngineContainer
from ds01.gpus.slot_names import display_names, is_unobserved, original_name
from ds01.host.checks.facts import DoctorFacts
from ds01.host.checks.findings import Finding, ReconcileRecords, error, warning
from ds01.lifecycle.reconciliation.inference import differs
from ds01.placement.outside_use import uuids_from_labels
from ds01.records.entries import is_manual
from ds01.records.record import Record


def unreadable(facts: DoctorFacts) -> Iterator[Finding]:
    """Find unreadable records. Those that do not parse are rebuilt from their containers' labels, or set aside."""
    for entry in facts.unreadable:
        if not entry.corrupt:  # it may be intact, and stays where it is
            yield error(
                "records-unreadable",
                f"the record of {entry.container_name} cannot be read now: {entry.why}",
                "its lease is unknown, so ds01 does not assign the GPUs that its container's labels name, or without "
                "labels any GPU",
                f"check the disk of {facts.state} (`dmesg`); if the problem stays, restore the file from a backup",
            )
            continue
        yield error(
            "records-unreadable",
            f"the record of {entry.container_name} cannot be read: {entry.why}",
            "its GPUs count as taken until it is rebuilt from its container's labels",
            "sudo ds01 doctor --fix, or wait for the next tick",
            (ReconcileRecords(),),
        )


def docker(facts: DoctorFacts) -> Iterator[Finding]:
    """Compare the records with Docker, in both directions. Containers that a command works on are skipped."""
    if facts.containers is None:
        return
    by_id = {container.id: container for container in facts.containers}
    for record in facts.records:
        container = by_id.get(record.docker_id or "")
        if is_manual(record) or record.container_name in facts.busy or not differs(record, container):
            continue
        yield warning(
            "records-docker",
            f"{record.container_name} {_describe_difference(record, container)}",
            "it changed outside ds01, or a command was killed",
            "the next tick records it, or sudo ds01 doctor --fix",
            (ReconcileRecords(),),
        )
    recorded_ids = {record.docker_id for record in facts.records} | {None}
    names = {entry.container_name for entry in facts.unreadable} | {record.container_name for record in facts.records}
    for container in facts.containers:
        if container.id in facts.ours - recorded_ids and container.name not in names | facts.busy:
            yield warning(
                "records-missing",
                f"the container {container.name} has no record",
                "its labels say that ds01 created it; its GPUs count as taken",
                "the next tick rebuilds the record from the labels, or sudo ds01 doctor --fix",
                (ReconcileRecords(),),
            )


def broken(facts: DoctorFacts) -> Iterator[Finding]:
    """Find containers that Docker lists but cannot inspect, mostly dead ones."""
    for item in facts.broken:
        consequence = "its record stays as it is, and its GPUs count as taken"
        if not item.ours:
            consequence = "the GPUs in its labels count as taken, and those on which NVML shows its processes"
        yield error(
            "containers-broken",
            f"Docker cannot inspect {item.container}: {item.why}",
            consequence,
            f"docker rm --force {item.container}; if Docker refuses, `sudo systemctl restart docker` may help, which "
            "stops all containers unless live-restore is on",
        )


def labels(facts: DoctorFacts) -> Iterator[Finding]:
    """Compare the records with their containers' labels."""
    by_id = {container.id: container for container in facts.containers or ()}
    for record in facts.records:
        container = by_id.get(record.docker_id or "")
        if container is None or "ds01.id" not in container.labels:
            continue
        differences = []
        if container.labels["ds01.id"] != record.id:
            differences.append(
                f"the label ds01.id is {container.labels['ds01.id']}, but the record's id is {record.id}"
            )
        name = container.labels.get("ds01.container")
        if name != record.container_name:
            differences.append(
                f"the label ds01.container is {name or 'missing'}, but the record belongs to {record.container_name}"
            )
        if container.labels.get("ds01.uid") != str(record.uid):
            differences.append(
                f"the label ds01.uid is {container.labels.get('ds01.uid')}, but the record's owner is {record.uid}"
            )
        if set(uuids_from_labels(container.labels)) != {ref.uuid for ref in record.gpus_fixed}:
            differences.append(
                f"the labels name GPU {container.labels.get('ds01.gpu.slots') or 'none'}, but the record "
                f"{display_names(record.gpus_fixed) or 'none'}"
            )
        if differences:
            yield error(
                "records-labels",
                f"{record.container_name}: {'; '.join(differences)}",
                "labels are fixed at create, so the record was edited or belongs to another container",
                f"container-retire {record.name} --user {record.user}, when its work is done",
            )


def leases(facts: DoctorFacts) -> Iterator[Finding]:
    """Find slots in two leases, lost slots, and containers in conflict."""
    holders: dict[str, list[str]] = defaultdict(list)
    for record in facts.records:
        for ref in record.lease.slots if record.lease else ():
            holders[ref.uuid].append(record.container_name)
    for uuid, names in holders.items():
        if len(names) > 1:
            yield error(
                "leases-doubled",
                f"{uuid} is leased to {' and '.join(sorted(names))}",
                "two containers share one GPU",
                "end one of them with container-retire",
            )
    if facts.observation is not None:
        present_uuids = {slot.uuid for slot in facts.observation.slots}
        for record in facts.records:
            slots = record.lease.slots if record.lease else ()
            lost_slots = [
                ref for ref in slots if ref.uuid not in present_uuids and not is_unobserved(ref, facts.observation)
            ]
            if lost_slots:
                yield warning(
                    "leases-lost",
                    f"{record.container_name} has GPU {', '.join(map(original_name, lost_slots))}, which is gone",
                    "MIG instances are lost at a reboot, unless they are created again with the same UUIDs",
                    f"container-start {record.name} --recreate --user {record.user}",
                )
    for record in facts.records:
        if record.conflict:
            yield error(
                "conflicts",
                f"{record.container_name}: {record.conflict}",
                "it was started outside ds01; the tick stops it after a warning",
                f"container-stop {record.name} --user {record.user}",
            )


def _describe_difference(record: Record, container: EngineContainer | None) -> str:
    if record.pending is not None:
        return f"was left in the middle of `{record.pending.trigger.value}` by {record.pending.actor}"
    if container is None:
        return f"is {record.state.value} in its record, but missing in Docker"
    now = "is paused" if container.status is ContainerStatus.PAUSED else f"is {container.status.value}"
    return f"{now} in Docker, but its record says {'paused' if record.paused else record.state.value}"
