"""What AIME's tools make: whose container it is, how it was made, and when nothing is left inside. Pure.

Theirs are called NAME._.UID as ours are, with capitals and dots besides, and carry `aime.mlc` labels.
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


def is_marked(seen: EngineContainer) -> bool:
    """Whether AIME's tools made it. Those of any installation of ds01 have their labels too, and are not theirs."""
    return bool(seen.labels.get(MARK)) and not seen.labels.get("ds01.installation")


def name_and_uid(container_name: str) -> tuple[str, int] | None:
    """Name and uid of a Docker name as AIME's tools give it."""
    found = _NAME.fullmatch(container_name)
    return (found[1], int(found[2])) if found is not None else None


def own_tag(image: str, container: str, uid: int) -> str:
    """The tag that only this container uses: AIME's tools remove the image that `docker ps` shows."""
    repository = image.partition("@")[0]
    head, colon, tail = repository.rpartition(":")
    if colon and "/" not in tail:
        repository = head
    if not repository or repository == "sha256":
        repository = f"ds01-{uid}/{container.partition('._.')[0]}"
    return f"{repository}:{container}"


def owner_of(seen: EngineContainer, users: Users) -> int:
    """The uid of the owner, on whom name and labels agree.

    Raises InvalidState if they do not, NotFound if no user has the uid.
    """
    if not is_marked(seen):
        raise InvalidState(
            f"{seen.name} was not made by AIME's tools",
            why=f"it has no label {MARK}, or is another ds01's",
            hint="only theirs can be taken over; make a new one: container-create",
        )
    parts = name_and_uid(seen.name)
    login = seen.labels.get(f"{MARK}.USER") or seen.labels[MARK]
    if parts is None:
        raise InvalidState(
            f"the name {seen.name} does not say whose it is",
            why="it would have to be NAME._.UID; very old tools of AIME's left the uid out",
            hint=f"docker rename {seen.name} {seen.name}._.UID, with the uid of {login}",
        )
    account = users.by_uid(parts[1])
    if login != account.login:
        raise InvalidState(
            f"it is not clear whose {seen.name} is",
            why=f"its name says {account.login} (uid {account.uid}), its label says {login}",
        )
    return account.uid


def request_of(seen: EngineContainer, owner: int, name: str, *, slots: int, most: int | None) -> ContainerRequest:
    """What one would have asked ds01 for, so that the container can be made anew as one of ds01's.

    It has `slots` GPUs, and one container may have `most`. The image is the one that AIME's tools began with: the one
    that they made of it goes with the container.
    """
    mounts = {mount.target: mount.source for mount in seen.spec.mounts} if seen.spec else {}
    ports = seen.spec.ports if seen.spec else ()
    return ContainerRequest(
        owner=owner,
        name=name,
        image=seen.image.removesuffix(f":{seen.name}"),
        gpus=GpuRequest(_count(seen, slots, most)),
        framework=_label(seen, "FRAMEWORK"),
        workspace=mounts.get("/workspace") or _label(seen, "WORK_MOUNT"),
        data=mounts.get("/data") or _label(seen, "DATA_MOUNT"),
        models=mounts.get("/models") or _label(seen, "MODELS_MOUNT"),
        ports=tuple(PublishedPort(port.container_port, port.host_port) for port in ports) or None,
    )


def what_stays(name: str, seen: EngineContainer) -> str:
    """What Docker fixed when it was made, and no adoption changes."""
    kept = ["shared memory", "ulimits", "its cgroup"]
    kept += ["all privileges"] if seen.privileged else []
    kept += [f"the network ({seen.spec.network})"] if seen.spec is not None and seen.spec.network != "bridge" else []
    again = f"`container-start {name} --recreate` makes it again with ds01's"
    return f"what cannot be changed stays as AIME made it: {', '.join(kept)}; {again}"


def left_inside(processes: Sequence[ContainerProcess]) -> int:
    """How many processes there are besides the first, and besides the shell that it is or has become.

    A shell that somebody entered with counts, idle or not: its parent is outside.
    """
    first = processes[0].pid if processes else None
    parents = {process.parent for process in processes}
    return sum(
        not (process.parent == first and process.pid not in parents and IDLE_SHELL.fullmatch(process.command.strip()))
        for process in processes[1:]
    )


def _count(seen: EngineContainer, slots: int, most: int | None) -> int | None:
    """How many GPUs to ask for: those that it has by name, or a number that somebody said, but not more than `most`.

    Nobody has to say `all` to AIME's tools to get all: that asks for nothing in particular.
    """
    if not seen.devices:
        return 0
    number = _label(seen, "GPUS") or ""
    if not seen.devices.everything:
        count = slots
    elif number.isascii() and number.isdigit() and len(number) <= 3:
        count = int(number)
    else:
        return None
    return count if most is None else min(count, most)


def _label(seen: EngineContainer, key: str) -> str | None:
    text = seen.labels.get(f"{MARK}.{key}")
    return text if text not in (None, "", "-") else None
