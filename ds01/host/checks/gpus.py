"""Checks of the GPUs: that they answer, are well, are cut as the policy says, and are used through ds01 only. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ds01.gpus.inventory import LIBRARY_NOT_FOUND
from ds01.gpus.model import MigState, SlotKind, slot_sort_key
from ds01.host.checks.facts import DoctorFacts
from ds01.host.checks.findings import CreateLink, Finding, error, join_few, warning
from ds01.lifecycle.context.observer import gpu_evidence
from ds01.placement.allocation_input import describe_blocker
from ds01.placement.outside_use import IGNORE_MISSING_LIST

FIRST_DOCKER_WITH_CDI = 29
CDI_REMEDY = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, after each change of the MIG layout"


def nvml(facts: DoctorFacts) -> Iterator[Finding]:
    """Whether the GPUs can be asked. A server without any needs no driver."""
    problem = facts.gpus_problem
    if problem is None:
        return
    if (problem.data or {}).get("problem") != LIBRARY_NOT_FOUND:
        yield error("nvml", problem.message, problem.why, problem.hint)
        return
    entries = {record.container_name: record for record in facts.records}
    evidence = gpu_evidence(entries, facts.kernel.nvidia_cards)
    if evidence is not None:
        yield error("nvml", problem.message, f"there is no libnvidia-ml.so.1, although {evidence}", problem.hint)


def health(facts: DoctorFacts) -> Iterator[Finding]:
    """GPUs and instances that must not be given out."""
    if facts.observation is None:
        return
    unhealthy = {
        gpu.index: gpu.unhealthy for gpu in facts.observation.gpus if gpu.unhealthy and gpu.mig is not MigState.PENDING
    }
    for index, why in unhealthy.items():
        yield error(
            "gpu-health", f"GPU {index}: {why}", "ds01 gives it to nobody", "nvidia-smi -q and dmesg say more; reset it"
        )
    for slot in facts.observation.slots:
        if slot.unhealthy and slot.gpu not in unhealthy and slot.kind is SlotKind.MIG:
            yield error("gpu-health", f"{slot.slot}: {slot.unhealthy}", "ds01 gives it to nobody", "make it anew")


def mig(facts: DoctorFacts) -> Iterator[Finding]:
    """The MIG layout against the one that the policy expects."""
    if facts.observation is None or facts.policy is None:
        return
    expected = facts.policy.gpu_allocation
    for gpu in facts.observation.gpus:
        if gpu.mig is MigState.PENDING:
            yield warning(
                "gpu-mig", f"GPU {gpu.index}: a change of its MIG mode waits for a reset", "it is given to nobody",
                f"nvidia-smi --gpu-reset -i {gpu.index}, when nothing runs on it",
            )  # fmt: skip
        elif gpu.mig is MigState.EMPTY:
            yield warning(
                "gpu-mig", f"GPU {gpu.index}: MIG is on, without any instance", "there is nothing to give out",
                f"nvidia-smi mig -i {gpu.index} -cgi {expected.mig_profile or 'PROFILE'} -C, or turn MIG off",
            )  # fmt: skip
    instances = [slot for slot in facts.observation.slots if slot.kind is SlotKind.MIG]
    if instances and not expected.enable_mig:
        yield warning(
            "gpu-mig", f"{len(instances)} MIG instances are there, and the policy says enable_mig: false",
            "they are given to nobody", "turn MIG off, or say enable_mig: true",
        )  # fmt: skip
    elif expected.enable_mig and expected.mig_profile is not None:
        others = sorted(
            (s for s in instances if (s.profile or "").casefold() != expected.mig_profile),
            key=lambda s: slot_sort_key(s.slot),
        )
        if others or (facts.observation.gpus and not instances):
            found = join_few([f"{slot.slot} is {slot.profile}" for slot in others]) or "no GPU has a MIG instance"
            yield warning(
                "gpu-mig", f"{found}, and the policy expects {expected.mig_profile}",
                "instances are gone after a reboot, unless a service makes them again",
                "make the instances with nvidia-smi mig, or change gpu_allocation.mig_profile",
            )  # fmt: skip


def outside(facts: DoctorFacts) -> Iterator[Finding]:
    """GPUs that somebody uses without ds01. A container of ours without a record, or on a GPU that somebody else has,
    is another check's.
    """
    ours = {container.name for container in facts.containers or () if container.id in facts.ours}
    without_process_list = []
    for slot, blocker in sorted((facts.blockers or {}).items(), key=lambda item: slot_sort_key(item[0])):
        if blocker.what == "container" and (blocker.who in ours or "label" in blocker.detail):  # labels claim it: ours
            continue
        if blocker.key == IGNORE_MISSING_LIST:
            without_process_list.append(slot)
            continue
        yield warning(
            "gpu-outside", f"{slot} is used by {describe_blocker(blocker)}",
            "ds01 gives it to nobody as long as that runs",
            "end it, or let the policy's `outside` section ignore it",
        )  # fmt: skip
    if without_process_list:
        yield warning(
            "gpu-outside",
            f"the driver does not say which processes use {join_few(without_process_list)}",
            "as in a virtual machine with a vGPU; what may be used by others is given to nobody",
            f"`{IGNORE_MISSING_LIST}: true` in the policy counts them as unused, if only ds01 uses them",
        )


def cdi(facts: DoctorFacts) -> Iterator[Finding]:
    """The devices that Docker knows by CDI against those that the driver has.

    From version 29 on, Docker looks a requested GPU up in these specifications first.
    """
    if facts.cdi is None or facts.docker is None or facts.observation is None or facts.observation.simulated:
        return
    version = re.match(r"\d+", facts.docker.version)
    if version is None or int(version[0]) < FIRST_DOCKER_WITH_CDI:
        return
    cdi_names = set(facts.cdi)
    missing = [f"{slot.slot} ({slot.uuid})" for slot in facts.observation.slots if slot.uuid not in cdi_names]
    present_uuids = {slot.uuid for slot in facts.observation.slots} | {gpu.uuid for gpu in facts.observation.gpus}
    stale = sorted(name for name in cdi_names - present_uuids if name.startswith(("GPU-", "MIG-")))
    if missing:
        yield error(
            "gpu-cdi", f"Docker does not know {join_few(missing, 3)}",
            "it is not in the CDI specifications, so a container with it fails at its start", CDI_REMEDY,
        )  # fmt: skip
    elif stale:
        yield warning(
            "gpu-cdi", f"the CDI specifications have {join_few(stale, 3)}, which the driver does not",
            "they were made before the MIG layout changed", CDI_REMEDY,
        )  # fmt: skip


def device_links(facts: DoctorFacts) -> Iterator[Finding]:
    """The links below /dev/char that systemd finds a container's devices by."""
    links = facts.kernel.device_links
    if links and not facts.sandbox and facts.docker is not None and facts.docker.cgroup_driver == "systemd":
        yield warning(
            "gpu-device-links",
            f"{join_few(sorted(links), 3)} {'is' if len(links) == 1 else 'are'} not there",
            "`systemctl daemon-reload`, as any installation of a package does it, can take the GPUs away from "
            "containers that run",
            "sudo nvidia-ctk system create-dev-char-symlinks --create-all, at every boot",
            tuple(CreateLink(path, target) for path, target in sorted(links.items())),
        )
