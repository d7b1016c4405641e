"""Choose the server's ports on which a container's ports are published, and explain a taken port. Pure.

Docker would choose new ports at each start, and an `ssh -L` command in the user's notes would no longer work. So ds01
chooses at create, and the same ports for the same container name as long as they are free.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from ds01.engines.protocol import PublishedPort
from ds01.errors import Ds01Error, EngineRejected
from ds01.records.record import Record
from ds01.records.request import ContainerRequest

# Below the ports that the kernel and Docker assign automatically (from 32768), and Kubernetes' NodePorts (from 30000).
RANGE = range(20000, 30000)


def wanted(request: ContainerRequest, network: str, always: Iterable[int]) -> tuple[PublishedPort, ...]:
    """Return the ports to publish: the requested ones, and the policy's (`always`)."""
    if network != "bridge":
        return ()  # the host's network needs no publishing, and without a network nothing can be reached
    requested = request.ports or ()
    named = {port.container_port for port in requested}
    return requested + tuple(PublishedPort(number) for number in always if number not in named)


def choose(
    ports: Iterable[PublishedPort], container_name: str, *, taken: Collection[int], is_free: Callable[[int], bool]
) -> tuple[PublishedPort, ...]:
    """Return `ports`, each with a port of the server.

    `taken`: the ports of other containers, running or not. If no port is left, Docker chooses one at each start.
    """
    ports = tuple(ports)
    used = {port.host_port for port in ports if port.host_port is not None} | set(taken)
    chosen = []
    for port in ports:
        if port.host_port is None:
            first = zlib.crc32(f"{container_name}:{port.container_port}".encode()) % len(RANGE)
            candidates = (RANGE[(first + offset) % len(RANGE)] for offset in range(len(RANGE)))
            host_port = next((number for number in candidates if number not in used and is_free(number)), None)
            port = replace(port, host_port=host_port)
            used |= {host_port} if host_port is not None else set()
        chosen.append(port)
    return tuple(chosen)


def explain_taken(record: Record, error: Ds01Error) -> EngineRejected | None:
    """Return the error for a start that failed because another program has a port; None for other errors."""
    data = error.data or {}
    if data.get("problem") != "port":
        return None
    number, name = data["port"], record.name
    requested = record.request.ports if record.request is not None else None
    if any(port.host_port == number for port in requested or ()):
        hint = f"end that program, or create the container with another port, after `container-retire {name}`"
    else:
        hint = f"`container-start {name} --recreate` creates it with another port; what was installed inside is lost"
    return EngineRejected(
        f"{name} cannot be started: another program has port {number} of this server",
        why=error.why,
        hint=hint,
        data=data,
    )
