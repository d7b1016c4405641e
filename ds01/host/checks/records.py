"""Checks of the records against Docker, NVML, their labels and each other. Pure."""

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
    """Records that do not parse: rebuilt from their containers' labels, or set aside."""
    for entry in facts.unreadable:
        if not entry.corrupt:  # it may be whole, and stays where it is
            yield error(
                "records-unreadable",
                f"the record of {entry.container_name} cannot be read now: {entry.why}",
                "nobody knows which GPUs it leases, so those that its container's labels name, or else all that nobody "
                "has, are given to nobody",
                f"check the disk of {facts.state} (`dmesg`); restore the file from a backup if it stays so",
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
    """Records against what Docker has, in both directions. What a command is at work on is left alone."""
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
            "it changed behind ds01, or a command was killed",
            "the next tick records it, and so does sudo ds01 doctor --fix",
            (ReconcileRecords(),),
        )
    recorded_ids = {record.docker_id for record in facts.records} | {None}
    names = {entry.container_name for entry in facts.unreadable} | {record.container_name for record in facts.records}
    for container in facts.containers:
        if container.id in facts.ours - recorded_ids and container.name not in names | facts.busy:
            yield warning(
                "records-missing",
                f"the container {container.name} has no record",
                "its labels say that ds01 made it; its GPUs count as taken",
                "the next tick makes one from the labels, and so does sudo ds01 doctor --fix",
                (ReconcileRecords(),),
            )


def broken(facts: DoctorFacts) -> Iterator[Finding]:
    """Containers that Docker lists and cannot inspect, dead ones mostly."""
    for item in facts.broken:
        consequence = "its record stays as it is, and its GPUs count as taken"
        if not item.ours:
            consequence = "the GPUs that its labels name count as taken, and those on which NVML sees its processes"
        yield error(
            "containers-broken",
            f"Docker cannot inspect {item.container}: {item.why}",
            consequence,
            f"docker rm --force {item.container}; if Docker refuses, `sudo systemctl restart docker` may help, which "
            "stops all containers unless live-restore is on",
        )


def labels(facts: DoctorFacts) -> Iterator[Finding]:
    """Records against the labels that their containers were made with."""
    by_id = {container.id: container for container in facts.containers or ()}
    for record in facts.records:
        container = by_id.get(record.docker_id or "")
        if container is None or "ds01.id" not in container.labels:
            continue
        differences = []
        if container.labels["ds01.id"] != record.id:
            differences.append(f"the label ds01.id is {container.labels['ds01.id']}, the record's id {record.id}")
        name = container.labels.get("ds01.container")
        if name != record.container_name:
            differences.append(
                f"the label ds01.container is {name or 'missing'}, the record is of {record.container_name}"
            )
        if container.labels.get("ds01.uid") != str(record.uid):
            differences.append(
                f"the label ds01.uid is {container.labels.get('ds01.uid')}, the record's owner {record.uid}"
            )
        if set(uuids_from_labels(container.labels)) != {ref.uuid for ref in record.gpus_fixed}:
            differences.append(
                f"the labels name GPU {container.labels.get('ds01.gpu.slots') or 'none'}, the record "
                f"{display_names(record.gpus_fixed) or 'none'}"
            )
        if differences:
            yield error(
                "records-labels",
                f"{record.container_name}: {'; '.join(differences)}",
                "labels are fixed when the container is made, so the record was edited or belongs to another",
                f"container-retire {record.name} --user {record.user}, after its work is done",
            )


def leases(facts: DoctorFacts) -> Iterator[Finding]:
    """Leases against each other and against what NVML has; containers on GPUs that somebody else has."""
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
                "container-retire ends one of them",
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
                    "MIG instances are gone after a reboot, unless they are made again with the same UUIDs",
                    f"container-start {record.name} --recreate --user {record.user}",
                )
    for record in facts.records:
        if record.conflict:
            yield error(
                "conflicts",
                f"{record.container_name}: {record.conflict}",
                "it was started behind ds01; the tick stops it after a warning",
                f"container-stop {record.name} --user {record.user}",
            )


def _describe_difference(record: Record, container: EngineContainer | None) -> str:
    if record.pending is not None:
        return f"was left in the middle of `{record.pending.trigger.value}` by {record.pending.actor}"
    if container is None:
        return f"is {record.state.value} in its record, and Docker does not have it"
    now = "is paused" if container.status is ContainerStatus.PAUSED else f"is {container.status.value}"
    return f"{now} in Docker, and its record says {'paused' if record.paused else record.state.value}"
