"""Containers of AIME's tools: their owner, the request they correspond to, and the processes in them. Pure.

They are called NAME._.UID like ours, but may contain capitals and dots, and have `aime.mlc` labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ds01.engines.protocol import ContainerProcess, EngineContainer, PublishedPort
from ds01.errors import InvalidState
from ds01.gpus.model import GpuRequest
from ds01.lifecycle.spec.shells import IDLE_SHELL
from ds01.records.request import ContainerRequest
from ds01.system.users import Users

MARK = "aime.mlc"
_NAME = re.compile(r"([a-zA-Z0-9][a-zA-Z0-9_.-]{0,126})\._\.(0|[1-9][0-9]{0,9})")


def is_marked(container: EngineContainer) -> bool:
    """Return whether AIME's tools created it. Containers of any ds01 have AIME's labels too, but do not count."""
    return bool(container.labels.get(MARK)) and not container.labels.get("ds01.installation")


def name_and_uid(container_name: str) -> tuple[str, int] | None:
    """Return name and uid from a container name of AIME's tools; None if it has another form."""
    match = _NAME.fullmatch(container_name)
    return (match[1], int(match[2])) if match is not None else None


def own_tag(image: str, container: str, uid: int) -> str:
    """Return an image tag that only this container uses.

    AIME's tools remove, with a container, the image that `docker ps` shows for it.
    """
    repository = image.partition("@")[0]
    head, colon, tail = repository.rpartition(":")
    if colon and "/" not in tail:
        repository = head
    if not repository or repository == "sha256":
        repository = f"ds01-{uid}/{container.partition('._.')[0]}"
    return f"{repository}:{container}"


def owner_of(container: EngineContainer, users: Users) -> int:
    """Return the owner's uid from name and labels.

    Raises InvalidState if they disagree, NotFound if no user has the uid.
    """
    if not is_marked(container):
        raise InvalidState(
            f"{container.name} was not created by AIME's tools",
            why=f"it has no label {MARK}, or belongs to another ds01 installation",
            hint="only containers of AIME's tools can be adopted; create a new container: container-create",
        )
    parts = name_and_uid(container.name)
    login = container.labels.get(f"{MARK}.USER") or container.labels[MARK]
    if parts is None:
        raise InvalidState(
            f"the name {container.name} does not contain its owner's uid",
            why="it must have the form NAME._.UID; very old versions of AIME's tools left the uid out",
            hint=f"docker rename {container.name} {container.name}._.UID, with the uid of {login}",
        )
    account = users.by_uid(parts[1])
    if login != account.login:
        raise InvalidState(
            f"the owner of {container.name} is not clear",
            why=f"its name says {account.login} (uid {account.uid}), its label says {login}",
        )
    return account.uid


def request_of(container: EngineContainer, owner: int, name: str, *, slots: int, most: int | None) -> ContainerRequest:
    """Return the equivalent ds01 request, with which the container can be created again.

    It has `slots` GPUs; the limit for a container is `most`. The image is the one that AIME's tools started from: the
    image that they built from it is removed with the container.
    """
    mounts = {mount.target: mount.source for mount in container.spec.mounts} if container.spec else {}
    ports = container.spec.ports if container.spec else ()
    return ContainerRequest(
        owner=owner,
        name=name,
        image=container.image.removesuffix(f":{container.name}"),
        gpus=GpuRequest(_count(container, slots, most)),
        framework=_label(container, "FRAMEWORK"),
        workspace=mounts.get("/workspace") or _label(container, "WORK_MOUNT"),
        data=mounts.get("/data") or _label(container, "DATA_MOUNT"),
        models=mounts.get("/models") or _label(container, "MODELS_MOUNT"),
        ports=tuple(PublishedPort(port.container_port, port.host_port) for port in ports) or None,
    )


def what_stays(name: str, container: EngineContainer) -> str:
    """Return the warning about settings that Docker fixed at create and an adoption cannot change."""
    kept = ["shared memory", "ulimits", "its cgroup"]
    kept += ["all privileges"] if container.privileged else []
    kept += (
        [f"the network ({container.spec.network})"]
        if container.spec is not None and container.spec.network != "bridge"
        else []
    )
    again = f"`container-start {name} --recreate` creates it again with ds01's settings"
    return f"some settings stay as AIME's tools set them: {', '.join(kept)}; {again}"


def left_inside(processes: Sequence[ContainerProcess]) -> int:
    """Return the number of processes, without process 1 and the idle shell that it started.

    A shell with which somebody entered counts, idle or not: its parent is outside the container.
    """
    first = processes[0].pid if processes else None
    parents = {process.parent for process in processes}
    return sum(
        not (process.parent == first and process.pid not in parents and IDLE_SHELL.fullmatch(process.command.strip()))
        for process in processes[1:]
    )


def _count(container: EngineContainer, slots: int, most: int | None) -> int | None:
    """Return how many GPUs to request: those it has by name, or the number in its label; at most `most`.

    None if it has all GPUs: `all` is the default of AIME's tools, and so not a request for a number.
    """
    if not container.devices:
        return 0
    number = _label(container, "GPUS") or ""
    if not container.devices.everything:
        count = slots
    elif number.isascii() and number.isdigit() and len(number) <= 3:
        count = int(number)
    else:
        return None
    return count if most is None else min(count, most)


def _label(container: EngineContainer, key: str) -> str | None:
    text = container.labels.get(f"{MARK}.{key}")
    return text if text not in (None, "", "-") else None
