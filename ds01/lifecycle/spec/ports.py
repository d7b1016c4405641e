"""Which ports of the server a container's ports are published on, and what to do where one is taken. Pure.

Docker would choose anew at each start, and the `ssh -L` line in somebody's notes would be wrong the next day. So ds01
chooses when it makes the container, and the same for a container of the same name, as long as nothing else has them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from ds01.engines.protocol import PublishedPort
from ds01.errors import Ds01Error, EngineRejected
from ds01.records.record import Record
from ds01.records.request import ContainerRequest

# Below the ports that the kernel and Docker give to whoever asks for none by number (from 32768), and the NodePorts of
# Kubernetes (from 30000).
RANGE = range(20000, 30000)


def wanted(request: ContainerRequest, network: str, always: Iterable[int]) -> tuple[PublishedPort, ...]:
    """Return what a container publishes: what was asked for, and the policy's ports, `always`."""
    if network != "bridge":
        return ()  # with the host's network there is nothing to publish, without a network nothing to reach
    asked = request.ports or ()
    named = {port.container_port for port in asked}
    return asked + tuple(PublishedPort(number) for number in always if number not in named)


def choose(
    ports: Iterable[PublishedPort], container_name: str, *, taken: Collection[int], is_free: Callable[[int], bool]
) -> tuple[PublishedPort, ...]:
    """Return `ports` with a port of the server for each that names none.

    `taken`: the ports of other containers, running or not. If no port is left, Docker chooses one at each start.
    """
    ports = tuple(ports)
    used = {port.host_port for port in ports if port.host_port is not None} | set(taken)
    chosen = []
    for port in ports:
        if port.host_port is None:
            first = zlib.crc32(f"{container_name}:{port.container_port}".encode()) % len(RANGE)
            candidates = (RANGE[(first + offset) % len(RANGE)] for offset in range(len(RANGE)))
            found = next((number for number in candidates if number not in used and is_free(number)), None)
            port = replace(port, host_port=found)
            used |= {found} if found is not None else set()
        chosen.append(port)
    return tuple(chosen)


def explain_taken(record: Record, error: Ds01Error) -> EngineRejected | None:
    """Return the error of a start that failed since another program has a port of the container; None for others."""
    data = error.data or {}
    if data.get("problem") != "port":
        return None
    number, name = data["port"], record.name
    asked = record.request.ports if record.request is not None else None
    if any(port.host_port == number for port in asked or ()):
        hint = f"end that program, or make the container again with another: `container-retire {name}` first"
    else:
        hint = f"`container-start {name} --recreate` makes it again with another; what was installed inside is lost"
    return EngineRejected(
        f"{name} cannot be started: another program has port {number} of this server",
        why=error.why,
        hint=hint,
        data=data,
    )
