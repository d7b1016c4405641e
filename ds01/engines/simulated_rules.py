"""What a simulated container may do in which state, and what Docker would say to the rest. Changes dicts in place."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from ds01.engines.protocol import ContainerSpec, Devices, EngineContainer, Port, Status
from ds01.engines.simulated_store import State
from ds01.errors import EngineAbsent, EngineConflict, EngineRejected
from ds01.system.data import format_time, from_json, parse_time

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_SMALLEST_MEMORY = 6 << 20
_SMALLEST_QUOTA = 1000


def find(state: State, reference: str) -> dict[str, Any] | None:
    """The container with this id, this name, or the only one whose id begins so: in Docker's order."""
    containers: dict[str, dict[str, Any]] = state["containers"]
    if reference in containers:
        return containers[reference]
    for container in containers.values():
        if container["name"] == reference:
            return container
    begins = [key for key in containers if reference and key.startswith(reference)]
    return containers[begins[0]] if len(begins) == 1 else None


def require(state: State, reference: str) -> dict[str, Any]:
    """As `find`. Raises EngineAbsent."""
    container = find(state, reference)
    if container is None:
        raise EngineAbsent("Docker has no such container", why=f"No such container: {reference}")
    return container


def require_running(state: State, reference: str) -> dict[str, Any]:
    """A container whose processes run. Raises EngineAbsent, EngineConflict."""
    container = require(state, reference)
    if container["status"] != Status.RUNNING.value:
        raise EngineConflict(
            "Docker cannot do this in the container's state",
            why=f"Container {container['name']} is {_in_words(container)}",
        )
    return container


def refuse_if_runs(container: dict[str, Any], what: str) -> None:
    """Raises EngineConflict if the container has processes."""
    if Status(container["status"]).runs:
        raise EngineConflict(
            "Docker cannot do this in the container's state",
            why=f"You cannot {what} a {container['status']} container {container['id']}",
        )


def switch(container: dict[str, Any], old: Status, new: Status) -> None:
    """Change the status. Raises EngineConflict unless it is `old`."""
    if container["status"] != old.value:
        raise EngineConflict(
            "Docker cannot do this in the container's state",
            why=f"Container {container['name']} is not {old.value}, it is {_in_words(container)}",
        )
    container["status"] = new.value


def start(state: State, container: dict[str, Any], now: datetime) -> None:
    """Start, with free ports of the host. Raises EngineConflict, EngineRejected."""
    if container["status"] == Status.RUNNING.value:
        return
    if container["status"] == Status.PAUSED.value:
        raise EngineConflict(
            "Docker cannot do this in the container's state",
            why="cannot start a paused container, try unpause instead",
        )
    spec = container.get("spec") or {"ports": [], "command": ["foreign"]}
    container["ports"] = _assign_ports(state, spec["ports"])
    container["pid"] = state["next_pid"]
    state["next_pid"] += 1
    command = " ".join(spec["command"])
    container["processes"] = [{"pid": container["pid"], "parent": 1, "command": command, "stubborn": True}]
    container["status"] = Status.RUNNING.value
    container["started_at"] = format_time(now)


def end(container: dict[str, Any], code: int, now: datetime) -> None:
    """The container's processes end with `code`; nothing if there are none."""
    if not Status(container["status"]).runs:
        return
    container.update(status=Status.EXITED.value, exit_code=code, finished_at=format_time(now), pid=None)
    container.update(ports=[], processes=[])


def check(state: State, spec: ContainerSpec) -> None:
    """What Docker checks at create. Raises EngineRejected, EngineConflict."""
    check_name(state, spec.name)
    if spec.memory is not None and spec.memory < _SMALLEST_MEMORY:
        raise EngineRejected("Docker refused", why="Minimum memory limit allowed is 6MB")
    if spec.memory is not None and spec.memory_swap is not None and 0 <= spec.memory_swap < spec.memory:
        raise EngineRejected(
            "Docker refused", why="Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if spec.cpu_quota is not None and spec.cpu_quota < _SMALLEST_QUOTA:
        raise EngineRejected("Docker refused", why="CPU cfs quota can not be less than 1ms (i.e. 1000)")
    for mount in spec.mounts:
        if not Path(mount.source).exists():
            why = f'invalid mount config for type "bind": bind source path does not exist: {mount.source}'
            raise EngineRejected("Docker refused", why=why)


def check_name(state: State, name: str) -> None:
    """Raises EngineRejected for a name that Docker does not accept, EngineConflict for one that is taken."""
    if _NAME.fullmatch(name) is None:
        raise EngineRejected("Docker refused", why=f"Invalid container name ({name})")
    for container in state["containers"].values():
        if container["name"] == name:
            why = f'The container name "/{name}" is already in use by container "{container["id"]}"'
            raise EngineConflict("The name is taken", why=why)


def listed(container: dict[str, Any]) -> EngineContainer:
    """The container as a list shows it."""
    return EngineContainer(
        id=container["id"],
        name=container["name"],
        image=container["image"],
        status=Status(container["status"]),
        labels=container["labels"],
        created_at=parse_time(container["created_at"]),
    )


def detailed(container: dict[str, Any]) -> EngineContainer:
    """The container as an inspect shows it."""
    spec = container.get("spec")
    ended = container["status"] in (Status.EXITED.value, Status.DEAD.value)
    return EngineContainer(
        id=container["id"],
        name=container["name"],
        image=container["image"],
        status=Status(container["status"]),
        labels=container["labels"],
        created_at=parse_time(container["created_at"]),
        started_at=_time(container.get("started_at")),
        finished_at=_time(container.get("finished_at")),
        exit_code=container.get("exit_code") if ended else None,
        oom_killed=container.get("oom_killed", False) if ended else False,
        pid=container.get("pid"),
        devices=from_json(Devices, container["devices"]),
        spec=from_json(ContainerSpec, {**spec, "labels": container["labels"]}) if spec else None,
        privileged=container.get("privileged", False),
        ports=tuple(from_json(Port, port) for port in container.get("ports", [])),
    )


def _assign_ports(state: State, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taken = {port["host_port"] for other in state["containers"].values() for port in other.get("ports", [])}
    ports = []
    for port in wanted:
        if port["host_port"] in taken:
            raise EngineRejected(
                "Docker refused",
                why=f"Bind for {port['host_ip']}:{port['host_port']} failed: port is already allocated",
            )
        number = port["host_port"]
        while number is None:
            number = state["next_port"] if state["next_port"] not in taken else None
            state["next_port"] = 32768 if state["next_port"] >= 60999 else state["next_port"] + 1
        taken.add(number)
        ports.append({**port, "host_port": number})
    return ports


def _in_words(container: dict[str, Any]) -> str:
    return "not running" if not Status(container["status"]).runs else str(container["status"])


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
