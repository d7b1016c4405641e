"""Check the GPUs: NVML, health, MIG layout, outside use, CDI and device links. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ds01.gpus.inventory import LIBRARY_NOT_FOUND
from ds01.gpus.model import MigState, SlotKind, slot_sort_key
from ds01.host.checks.facts import DoctorFacts
from ds01.host.checks.findings import CreateLink, Finding, error, join_few, warning
from ds01.lifecycle.context.observer import gpu_evidence
from ds01.observe.server.outside import describe_in_full
from ds01.placement.allocation_input import describe_blocker
from ds01.placement.outside_use import IGNORE_MISSING_LIST

FIRST_DOCKER_WITH_CDI = 29
CDI_REMEDY = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, after each change of the MIG layout"


def nvml(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that the GPUs answer. A server without GPUs needs no driver."""
    problem = facts.gpus_problem
    if problem is None:
        return
    if (problem.data or {}).get("problem") != LIBRARY_NOT_FOUND:
        yield error("nvml", problem.message, problem.why, problem.hint)
        return
    entries = {record.container_name: record for record in facts.records}
    evidence = gpu_evidence(entries, facts.kernel.nvidia_cards)
    if evidence is not None:
        yield error("nvml", problem.message, f"libnvidia-ml.so.1 is missing, although {evidence}", problem.hint)


def health(facts: DoctorFacts) -> Iterator[Finding]:
    """Find GPUs and MIG instances that are unhealthy."""
    if facts.observation is None:
        return
    unhealthy = {
        gpu.index: gpu.unhealthy for gpu in facts.observation.gpus if gpu.unhealthy and gpu.mig is not MigState.PENDING
    }
    for index, why in unhealthy.items():
        yield error(
            "gpu-health", f"GPU {index}: {why}", "ds01 does not assign it", "check nvidia-smi -q and dmesg; reset it"
        )
    for slot in facts.observation.slots:
        if slot.unhealthy and slot.gpu not in unhealthy and slot.kind is SlotKind.MIG:
            yield error("gpu-health", f"{slot.slot}: {slot.unhealthy}", "ds01 does not assign it", "create it again")


def mig(facts: DoctorFacts) -> Iterator[Finding]:
    """Compare the MIG layout with the policy."""
    if facts.observation is None or facts.policy is None:
        return
    expected = facts.policy.gpu_allocation
    for gpu in facts.observation.gpus:
        if gpu.mig is MigState.PENDING:
            yield warning(
                "gpu-mig", f"GPU {gpu.index}: a change of its MIG mode waits for a reset", "ds01 does not assign it",
                f"nvidia-smi --gpu-reset -i {gpu.index}, when nothing runs on it",
            )  # fmt: skip
        elif gpu.mig is MigState.EMPTY:
            yield warning(
                "gpu-mig", f"GPU {gpu.index}: MIG is on, but it has no instance", "there is nothing to assign",
                f"nvidia-smi mig -i {gpu.index} -cgi {expected.mig_profile or 'PROFILE'} -C, or turn MIG off",
            )  # fmt: skip
    instances = [slot for slot in facts.observation.slots if slot.kind is SlotKind.MIG]
    if instances and not expected.enable_mig:
        yield warning(
            "gpu-mig", f"there are {len(instances)} MIG instances, but the policy says enable_mig: false",
            "ds01 does not assign them", "turn MIG off, or set enable_mig: true",
        )  # fmt: skip
    elif expected.enable_mig and expected.mig_profile is not None:
        others = sorted(
            (s for s in instances if (s.profile or "").casefold() != expected.mig_profile),
            key=lambda s: slot_sort_key(s.slot),
        )
        if others or (facts.observation.gpus and not instances):
            found = join_few([f"{slot.slot} is {slot.profile}" for slot in others]) or "no GPU has a MIG instance"
            yield warning(
                "gpu-mig", f"{found}, but the policy expects {expected.mig_profile}",
                "instances are lost at a reboot, unless a service creates them again",
                "create the instances with nvidia-smi mig, or change gpu_allocation.mig_profile",
            )  # fmt: skip


def outside(facts: DoctorFacts) -> Iterator[Finding]:
    """Find outside use of GPUs. Our containers without a record or in conflict belong to other checks."""
    ours = {container.name for container in facts.containers or () if container.id in facts.ours}
    without_process_list = []
    for slot, blocker in sorted((facts.blockers or {}).items(), key=lambda item: slot_sort_key(item[0])):
        if blocker.what == "container" and (blocker.who in ours or "label" in blocker.detail):  # ours, by its labels
            continue
        if blocker.key == IGNORE_MISSING_LIST:
            without_process_list.append(slot)
            continue
        uses = [describe_in_full(use) for use in facts.outside if use.slot == slot and use.pid is not None]
        yield warning(
            "gpu-outside", f"{slot} is used by {describe_blocker(blocker)}",
            "; ".join(["ds01 does not assign it while that runs", *uses]),
            "end it, or ignore it in the policy's `outside` section",
        )  # fmt: skip
    if without_process_list:
        yield warning(
            "gpu-outside",
            f"the driver does not report which processes use {join_few(without_process_list)}",
            "as in a virtual machine with a vGPU; ds01 does not assign slots that others may be using",
            f"if only ds01 uses them, set `{IGNORE_MISSING_LIST}: true` in the policy to count them as unused",
        )


def cdi(facts: DoctorFacts) -> Iterator[Finding]:
    """Compare the devices in the CDI specifications with the driver's.

    From version 29 on, Docker looks up a requested GPU in these specifications first.
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
            "it is not in the CDI specifications, so a container with it cannot start", CDI_REMEDY,
        )  # fmt: skip
    elif stale:
        yield warning(
            "gpu-cdi", f"the CDI specifications contain {join_few(stale, 3)}, which the driver does not have",
            "they were generated before the MIG layout changed", CDI_REMEDY,
        )  # fmt: skip


def device_links(facts: DoctorFacts) -> Iterator[Finding]:
    """Check the links below /dev/char, by which systemd finds a container's devices."""
    links = facts.kernel.device_links
    if links and not facts.sandbox and facts.docker is not None and facts.docker.cgroup_driver == "systemd":
        yield warning(
            "gpu-device-links",
            f"{join_few(sorted(links), 3)} {'is' if len(links) == 1 else 'are'} missing",
            "`systemctl daemon-reload`, which any package installation may run, can take the GPUs away from running "
            "containers",
            "sudo nvidia-ctk system create-dev-char-symlinks --create-all, at every boot",
            tuple(CreateLink(path, target) for path, target in sorted(links.items())),
        )
