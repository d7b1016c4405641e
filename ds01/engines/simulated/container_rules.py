"""The states and checks of simulated containers, with Docker's error messages. Changes dicts in place."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ds01.engines.engine_errors import RLIMITS, error_from_response
from ds01.engines.protocol import ContainerSpec, ContainerStatus, Devices, EngineContainer, PublishedPort, UpdateSpec
from ds01.engines.simulated.images import image_id
from ds01.engines.simulated.store import State
from ds01.system.data import format_time, from_json, parse_time

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_SMALLEST_MEMORY = 6 << 20
_SMALLEST_QUOTA = 1000
_KERNEL_LIMITS = {"nofile": 1073741816}  # the largest fs.nr_open, the maximum for everybody
# The end of "Docker could not …", for calls whose names do not say it.
_BROKEN_CALLS = {
    "inspect": "inspect the container",
    "update": "change the limits of the container",
    "put_archive": "copy files into the container",
    "get_archive": "read files of the container",
    "processes": "list the container's processes",
    "usage": "look into the container",
    "run": "run a program in the container",
    "attach": "run a program in the container",
}


def find_container(state: State, reference: str) -> dict[str, Any] | None:
    """Find a container by id, by name, or by a unique prefix of its id, in Docker's order."""
    containers: dict[str, dict[str, Any]] = state["containers"]
    if reference in containers:
        return containers[reference]
    for container in containers.values():
        if container["name"] == reference:
            return container
    matches = [key for key in containers if reference and key.startswith(reference)]
    return containers[matches[0]] if len(matches) == 1 else None


def require_container(state: State, reference: str) -> dict[str, Any]:
    """As `find_container`, but raises EngineNotFound."""
    container = find_container(state, reference)
    if container is None:
        raise error_from_response(404, f"No such container: {reference}", "find the container")
    return container


def require_unbroken(state: State, reference: str, call: str) -> dict[str, Any]:
    """As `require_container`. Raises EngineRejected if `break_container` broke this call."""
    container = require_container(state, reference)
    broken = container.get("broken")
    if broken is not None and (not broken["calls"] or call in broken["calls"]):
        raise error_from_response(500, broken["words"], _BROKEN_CALLS.get(call, f"{call} the container"))
    return container


def require_processes(state: State, reference: str) -> dict[str, Any]:
    """Return a container with processes, frozen or not. Raises EngineNotFound, EngineConflict."""
    container = require_container(state, reference)
    if not ContainerStatus(container["status"]).has_processes:
        raise error_from_response(409, f"Container {container['id']} is not running", "look into the container")
    return container


def require_running(state: State, reference: str) -> dict[str, Any]:
    """Return a container that runs and is not paused. Raises EngineNotFound, EngineConflict."""
    container = require_processes(state, reference)
    if container["status"] != ContainerStatus.RUNNING.value:
        message = f"Container {container['id']} is {container['status']}, unpause the container before exec"
        raise error_from_response(409, message, "run a program in the container")
    return container


def refuse_removal(container: dict[str, Any]) -> None:
    """Raise EngineConflict if the container has processes."""
    if ContainerStatus(container["status"]).has_processes:
        message = f"You cannot remove a {container['status']} container {container['id']}"
        raise error_from_response(409, message, "remove the container")


def pause_container(container: dict[str, Any]) -> None:
    """Pause a container. Raises EngineConflict unless it runs."""
    if container["status"] != ContainerStatus.RUNNING.value:
        state_words = "already paused" if container["status"] == ContainerStatus.PAUSED.value else "not running"
        raise error_from_response(409, f"Container {container['id']} is {state_words}", "pause the container")
    container["status"] = ContainerStatus.PAUSED.value


def unpause_container(container: dict[str, Any]) -> None:
    """Unpause a container. Raises EngineConflict unless it is paused."""
    if container["status"] != ContainerStatus.PAUSED.value:
        raise error_from_response(500, f"Container {container['id']} is not paused", "unpause the container")
    container["status"] = ContainerStatus.RUNNING.value


def start_container(state: State, container: dict[str, Any], now: datetime) -> None:
    """Start a container, with free ports of the host. Raises EngineConflict, EngineRejected."""
    if container["status"] == ContainerStatus.RUNNING.value:
        return
    if container["status"] == ContainerStatus.PAUSED.value:
        raise error_from_response(409, "cannot start a paused container, try unpause instead", "start the container")
    if container["status"] == ContainerStatus.REMOVING.value:
        message = "container is marked for removal and cannot be started"
        raise error_from_response(409, message, "start the container")
    spec = container.get("spec") or {"ports": [], "command": ["foreign"]}
    _check_hard_limits(state, spec.get("ulimits") or {})
    container["ports"] = _assign_ports(state, spec["ports"])
    container["pid"] = state["next_pid"]
    state["next_pid"] += 1
    command = " ".join(spec["command"])
    container["processes"] = [{"pid": container["pid"], "parent": 1, "command": command, "stubborn": True}]
    container["status"] = ContainerStatus.RUNNING.value
    container["started_at"] = format_time(now)


def _check_hard_limits(state: State, ulimits: dict[str, int]) -> None:
    """Raise EngineRejected with runc's message for a ulimit above `set_hard_limits`."""
    for name, hard_limit in (_KERNEL_LIMITS | state.get("hard_limits", {})).items():
        requested = ulimits.get(name)
        if requested is not None and (requested < 0 or requested > hard_limit):
            number = next((number for number, other in RLIMITS.items() if other == name), 9)
            message = f"OCI runtime create failed: error setting rlimit type {number}: operation not permitted"
            raise error_from_response(500, message, "start the container")


def end_processes(container: dict[str, Any], code: int, now: datetime) -> None:
    """End the container's processes with `code`; does nothing if there are none."""
    if not ContainerStatus(container["status"]).has_processes:
        return
    container.update(status=ContainerStatus.EXITED.value, exit_code=code, finished_at=format_time(now), pid=None)
    container.update(ports=[], processes=[], oom_killed=False)


def check_spec(state: State, spec: ContainerSpec) -> None:
    """Check a spec as Docker does at create. Raises EngineRejected, EngineConflict."""
    check_name(state, spec.name)
    message = _limit_error(spec)
    for mount in spec.mounts:
        if not Path(mount.source).exists():
            message = f'invalid mount config for type "bind": bind source path does not exist: {mount.source}'
    if message is not None:
        raise error_from_response(400, message, "create the container")


def update_limits(container: dict[str, Any], limits: UpdateSpec) -> None:
    """Change a container's limits. Raises EngineRejected."""
    message = _limit_error(limits)
    if message is not None:
        raise error_from_response(400, message, "change the limits of the container")
    spec = container.get("spec")
    if spec is None:
        return
    if limits.cpu_quota is not None:
        spec.update(cpu_quota=limits.cpu_quota, cpu_period=limits.cpu_period)
    if limits.memory is not None:
        spec.update(memory=limits.memory, memory_swap=limits.memory_swap)
    if limits.pids_limit is not None:
        spec["pids_limit"] = limits.pids_limit


def _limit_error(limits: ContainerSpec | UpdateSpec) -> str | None:
    """Return Docker's message for invalid limits, or None."""
    if limits.memory is not None and limits.memory < _SMALLEST_MEMORY:
        return "Minimum memory limit allowed is 6MB"
    if limits.memory is not None and limits.memory_swap is not None and 0 <= limits.memory_swap < limits.memory:
        return "Minimum memoryswap limit should be larger than memory limit, see usage"
    if limits.cpu_quota is not None and limits.cpu_quota < _SMALLEST_QUOTA:
        return "CPU cfs quota can not be less than 1ms (i.e. 1000)"
    return None


def check_name(state: State, name: str) -> None:
    """Raise EngineRejected for a name that Docker does not accept, EngineConflict for a taken one."""
    if _NAME.fullmatch(name) is None:
        raise error_from_response(400, f"Invalid container name ({name})", "create the container")
    for container in state["containers"].values():
        if container["name"] == name:
            message = f'The container name "/{name}" is already in use by container "{container["id"]}"'
            raise error_from_response(409, message, "create the container")


def list_entry(container: dict[str, Any]) -> EngineContainer:
    """Return the container as in a list."""
    return EngineContainer(
        id=container["id"],
        name=container["name"],
        image=container["image"],
        status=ContainerStatus(container["status"]),
        labels=container["labels"],
        created_at=parse_time(container["created_at"]),
        image_id=image_id(container["source"]) if container.get("source") else None,
        ports=tuple(from_json(PublishedPort, port) for port in container.get("ports", [])),
    )


def inspect_entry(container: dict[str, Any]) -> EngineContainer:
    """Return the container as in an inspect."""
    spec = container.get("spec")
    ended = container["status"] in (ContainerStatus.EXITED.value, ContainerStatus.DEAD.value)
    return replace(
        list_entry(container),
        started_at=parse_optional_time(container.get("started_at")),
        finished_at=parse_optional_time(container.get("finished_at")),
        exit_code=container.get("exit_code") if ended else None,
        oom_killed=container.get("oom_killed", False) if ended else False,
        pid=container.get("pid"),
        devices=from_json(Devices, container["devices"]),
        spec=from_json(ContainerSpec, {**spec, "labels": container["labels"]}) if spec else None,
        privileged=container.get("privileged", False),
    )


def _assign_ports(state: State, requested: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taken = {port["host_port"] for other in state["containers"].values() for port in other.get("ports", [])}
    ports = []
    for port in requested:
        address = f"{port['host_ip']}:{port['host_port']}"
        if port["host_port"] in state.get("occupied_ports", ()):
            message = f"Error starting userland proxy: listen tcp4 {address}: bind: address already in use"
            raise error_from_response(500, message, "start the container")
        if port["host_port"] in taken:
            raise error_from_response(
                500, f"Bind for {address} failed: port is already allocated", "start the container"
            )
        number = port["host_port"]
        while number is None:
            number = state["next_port"] if state["next_port"] not in taken else None
            state["next_port"] = 32768 if state["next_port"] >= 60999 else state["next_port"] + 1
        taken.add(number)
        ports.append({**port, "host_port": number})
    return ports


def parse_optional_time(text: str | None) -> datetime | None:
    """Parse a time of the state, or None."""
    return None if text is None else parse_time(text)
