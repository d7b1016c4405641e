"""Checks of the records against Docker, NVML, their labels and each other. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ds01.engines.protocol import ContainerStatus, EngineContainer
from ds01.gpus.slot_names import display_names, is_unobserved, original_name
from ds01.host.checks.facts import Facts
from ds01.host.checks.findings import Finding, Reconcile, error, warning
from ds01.lifecycle.reconciliation.judge import differs
from ds01.placement.outside_use import uuids_from_labels
from ds01.records.entries import is_manual
from ds01.records.record import Record


def unreadable(facts: Facts) -> Iterator[Finding]:
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
            (Reconcile(),),
        )


def docker(facts: Facts) -> Iterator[Finding]:
    """Records against what Docker has, in both directions. What a command is at work on is left alone."""
    if facts.containers is None:
        return
    by_id = {container.id: container for container in facts.containers}
    for record in facts.records:
        seen = by_id.get(record.docker_id or "")
        if is_manual(record) or record.container_name in facts.busy or not differs(record, seen):
            continue
        yield warning(
            "records-docker",
            f"{record.container_name} {_difference(record, seen)}",
            "it changed behind ds01, or a command was killed",
            "the next tick records it, and so does sudo ds01 doctor --fix",
            (Reconcile(),),
        )
    known = {record.docker_id for record in facts.records} | {None}
    names = {entry.container_name for entry in facts.unreadable} | {record.container_name for record in facts.records}
    for container in facts.containers:
        if container.id in facts.ours - known and container.name not in names | facts.busy:
            yield warning(
                "records-missing",
                f"the container {container.name} has no record",
                "its labels say that ds01 made it; its GPUs count as taken",
                "the next tick makes one from the labels, and so does sudo ds01 doctor --fix",
                (Reconcile(),),
            )


def broken(facts: Facts) -> Iterator[Finding]:
    """Containers that Docker lists and cannot inspect, dead ones mostly."""
    for item in facts.broken:
        taken = "its record stays as it is, and its GPUs count as taken"
        if not item.ours:
            taken = "the GPUs that its labels name count as taken, and those on which NVML sees its processes"
        yield error(
            "containers-broken",
            f"Docker cannot inspect {item.container}: {item.why}",
            taken,
            f"docker rm --force {item.container}; if Docker refuses, `sudo systemctl restart docker` may help, which "
            "stops all containers unless live-restore is on",
        )


def labels(facts: Facts) -> Iterator[Finding]:
    """Records against the labels that their containers were made with."""
    by_id = {container.id: container for container in facts.containers or ()}
    for record in facts.records:
        seen = by_id.get(record.docker_id or "")
        if seen is None or "ds01.id" not in seen.labels:
            continue
        wrong = []
        if seen.labels["ds01.id"] != record.id:
            wrong.append(f"the label ds01.id is {seen.labels['ds01.id']}, the record's id {record.id}")
        name = seen.labels.get("ds01.container")
        if name != record.container_name:
            wrong.append(f"the label ds01.container is {name or 'missing'}, the record is of {record.container_name}")
        if seen.labels.get("ds01.uid") != str(record.uid):
            wrong.append(f"the label ds01.uid is {seen.labels.get('ds01.uid')}, the record's owner {record.uid}")
        if set(uuids_from_labels(seen.labels)) != {ref.uuid for ref in record.gpus_fixed}:
            wrong.append(
                f"the labels name GPU {seen.labels.get('ds01.gpu.slots') or 'none'}, the record "
                f"{display_names(record.gpus_fixed) or 'none'}"
            )
        if wrong:
            yield error(
                "records-labels",
                f"{record.container_name}: {'; '.join(wrong)}",
                "labels are fixed when the container is made, so the record was edited or belongs to another",
                f"container-retire {record.name} --user {record.user}, after its work is done",
            )


def leases(facts: Facts) -> Iterator[Finding]:
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
        there = {slot.uuid for slot in facts.observation.slots}
        for record in facts.records:
            slots = record.lease.slots if record.lease else ()
            lost = [ref for ref in slots if ref.uuid not in there and not is_unobserved(ref, facts.observation)]
            if lost:
                yield warning(
                    "leases-lost",
                    f"{record.container_name} has GPU {', '.join(map(original_name, lost))}, which is gone",
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


def _difference(record: Record, seen: EngineContainer | None) -> str:
    if record.pending is not None:
        return f"was left in the middle of `{record.pending.trigger.value}` by {record.pending.actor}"
    if seen is None:
        return f"is {record.state.value} in its record, and Docker does not have it"
    now = "is paused" if seen.status is ContainerStatus.PAUSED else f"is {seen.status.value}"
    return f"{now} in Docker, and its record says {'paused' if record.paused else record.state.value}"
