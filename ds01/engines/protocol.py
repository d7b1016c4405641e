"""What ds01 needs of whatever runs containers, and the data that crosses this seam.

Errors: EngineUnreachable (nothing was observed), EngineNotFound, EngineConflict, EngineRejected (ds01.errors).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol


class ContainerStatus(str, Enum):
    """Docker's states."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    DEAD = "dead"
    REMOVING = "removing"

    @property
    def has_processes(self) -> bool:
        """Whether processes of the container exist."""
        return self in (ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.RESTARTING)


@dataclass(frozen=True)
class Mount:
    """A bind mount: `source` on the host, with all links resolved, at `target` inside."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class PublishedPort:
    """A published port. `host_port` None at create: Docker chooses a free one."""

    container_port: int
    host_port: int | None = None
    host_ip: str = "127.0.0.1"


@dataclass(frozen=True)
class ContainerSpec:
    """A container to make, complete: no policy is left in it, and the engine only translates. Sizes in bytes."""

    name: str
    image: str  # the container's own tag, as a string: AIME's tools remove what `docker ps` shows
    command: tuple[str, ...]
    uid: int
    gid: int
    groups: tuple[int, ...] = ()  # supplementary
    workdir: str = "/workspace"
    hostname: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    removed_variables: tuple[str, ...] = ()  # of the image's, sorted: not set at all
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    network: str = "bridge"
    tty: bool = True
    stop_signal: str = "SIGHUP"
    cpu_quota: int | None = None  # microseconds in each `cpu_period`
    cpu_period: int = 100_000
    memory: int | None = None
    memory_swap: int | None = None  # RAM and swap together, as Docker counts; None: no limit on swap
    shm_size: int | None = None
    pids_limit: int | None = None
    ulimits: Mapping[str, int] = field(default_factory=dict)  # soft and hard alike; -1 unlimited
    cgroup_parent: str | None = None
    no_new_privileges: bool = False  # whether setuid programs such as sudo are without effect
    user_namespace: str = "host"  # uids inside are those of the host, also where Docker remaps by default
    device_uuids: tuple[str, ...] = ()  # what the engine injects; empty: no device request at all


@dataclass(frozen=True)
class UpdateSpec:
    """The limits of a container that can be changed after it was made, as in `ContainerSpec`. None: as it is.

    `memory_swap` None with a `memory` is no limit on swap.
    """

    cpu_quota: int | None = None
    cpu_period: int = 100_000
    memory: int | None = None
    memory_swap: int | None = None
    pids_limit: int | None = None


@dataclass(frozen=True)
class EngineInfo:
    """What the engine is. `id` tells one Docker from another."""

    id: str
    name: str  # docker or simulated
    version: str
    cgroup_driver: str  # systemd, cgroupfs or none
    cgroup_version: str
    live_restore: bool
    default_runtime: str
    runtimes: tuple[str, ...]
    cpus: int
    memory_bytes: int
    started_at: datetime | None = None  # the engine itself; None: it cannot be known
    booted_at: datetime | None = None  # the machine that it runs on
    security_options: tuple[str, ...] = ()  # as Docker names them: seccomp, apparmor, userns, rootless, ...
    root_dir: str | None = None  # the folder with its images and containers; None: it has none, or does not say


@dataclass(frozen=True)
class PathStatus:
    """A path inside a container: the mode's permission bits, and of a link where it leads in the end."""

    mode: int
    link: str | None = None


@dataclass(frozen=True)
class Devices:
    """The GPU access of a container in whichever form it was given.

    `everything` is also what a count or an unclear form amounts to, since nobody can say which devices it means.
    """

    ids: tuple[str, ...] = ()  # UUIDs or indexes, as written; CDI names without their vendor prefix
    everything: bool = False
    form: str | None = None  # privileged, device_request, cdi, device, environment, joined by commas: for people

    def __bool__(self) -> bool:
        return self.everything or bool(self.ids)


@dataclass(frozen=True)
class EngineContainer:
    """A container as the engine lists it. Fields below `detail` are known after an inspect only."""

    id: str
    name: str
    image: str
    status: ContainerStatus
    labels: Mapping[str, str]
    created_at: datetime
    image_id: str | None = None  # what `image` named when the container was made
    # detail
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    pid: int | None = None
    devices: Devices | None = None  # None: not looked at
    spec: ContainerSpec | None = None  # what the engine has, read back
    privileged: bool = False
    ports: tuple[PublishedPort, ...] = ()
    size_bytes: int | None = None  # of its own layer, if it was asked for
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineImage:
    """An image that is there. A list of images leaves `environment` empty."""

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    created_at: datetime | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class CreateResult:
    """A container was created; `warnings` are the engine's own words on what this kernel cannot enforce."""

    id: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """One step of a pull: `current` of `total` bytes, where the engine says so; or of a build.

    In a build `step` is `3/9 RUN …`, with `current` and `total` its number and their count, and `text` one line that
    it wrote, or nothing when it begins. At last `step` is `built`, and `text` the image's id.
    A `warning` belongs to no step: its text is for the person.
    """

    step: str  # a layer's id, or the whole
    text: str
    current: int | None = None
    total: int | None = None
    warning: bool = False


@dataclass(frozen=True)
class BuildSpec:
    """An image to make. `reference` is given to it only when it is whole. Sizes in bytes.

    The limits hold for each container that a step runs in; how many processes it has Docker does not limit.
    """

    reference: str
    dockerfile: str = "Dockerfile"  # its path in the context
    labels: Mapping[str, str] = field(default_factory=dict)  # put on the image besides the Dockerfile's own
    no_cache: bool = False
    arguments: Mapping[str, str] = field(default_factory=dict)  # values of ARG; the usual proxies need no ARG
    network: str | None = None  # None: the engine's default
    memory: int | None = None
    memory_swap: int | None = None  # RAM and swap together; None: no limit on swap
    cpu_quota: int | None = None  # microseconds in each `cpu_period`
    cpu_period: int = 100_000
    shm_size: int | None = None
    cgroup_parent: str | None = None


@dataclass(frozen=True)
class ContainerProcess:
    """A process of a container, with the host's pid."""

    pid: int
    parent: int
    command: str  # the whole command line


@dataclass(frozen=True)
class ContainerUsage:
    """What a running container uses. CPU is the total since its start in nanoseconds; memory in bytes."""

    cpu_nanoseconds: int | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    pids: int | None
    network_bytes: int | None = None  # in and out since its start, loopback left out; None with the host's network
    pid: int | None = None  # its first process on the host, to be handed in the next time


@dataclass(frozen=True)
class ExecRequest:
    """A program to start in a running container, as `user` (`UID:GID`)."""

    command: tuple[str, ...]
    user: str
    workdir: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    tty: bool = True
    rows: int | None = None
    columns: int | None = None


@dataclass(frozen=True)
class Attachment:
    """A connected stream to a program inside: a file number that the receiver owns and closes.

    Without `tty` the stream from the engine comes in Docker's frames: 1 byte stream (1 out, 2 err), 3 zero bytes,
    4 bytes length (big-endian), payload. `initial_bytes` came with the answer and belong before the stream.
    """

    fileno: int
    session: str
    tty: bool
    initial_bytes: bytes = b""


class Engine(Protocol):
    """What runs containers. `reference` is a container's id, or its name."""

    def info(self) -> EngineInfo:
        """What the engine is."""

    def containers(self) -> list[EngineContainer]:
        """All containers of the host in one call, labels included, without detail."""

    def inspect(self, reference: str, *, size: bool = False) -> EngineContainer | None:
        """One container with its detail; None only if the engine said that there is none."""

    def create(self, spec: ContainerSpec) -> CreateResult:
        """Make a container. Raises EngineConflict if the name is taken, EngineNotFound without the image."""

    def update(self, reference: str, limits: UpdateSpec) -> tuple[str, ...]:
        """Change the limits of a container, whether it runs or not, and let nobody but ds01 start it.

        The answer is the engine's own words on what this kernel cannot enforce. Raises EngineNotFound, EngineRejected.
        """

    def start(self, reference: str) -> None:
        """Start; nothing if it runs. Raises EngineConflict if it is paused."""

    def stop(self, reference: str, *, grace: float) -> None:
        """Send the stop signal, and SIGKILL after `grace` seconds, rounded up; nothing if it does not run."""

    def remove(self, reference: str) -> None:
        """Remove a container that does not run. Raises EngineNotFound, EngineConflict."""

    def rename(self, reference: str, name: str) -> None:
        """Rename a container, whether it runs or not. Raises EngineNotFound, EngineConflict if the name is taken."""

    def pause(self, reference: str) -> None:
        """Freeze all its processes."""

    def unpause(self, reference: str) -> None:
        """Let them go on."""

    def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
        """Unpack a tar archive into `folder` inside, created containers included. The folder is there already."""

    def get_archive(self, reference: str, path: str) -> bytes | None:
        """A tar archive of `path` inside, created containers included; None if there is no such path."""

    def path_status(self, reference: str, path: str) -> PathStatus | None:
        """The status of `path` inside, created containers included; None if there is no such path."""

    def processes(self, reference: str) -> list[ContainerProcess]:
        """The processes of a running container, the first one first."""

    def run(self, reference: str, request: ExecRequest) -> int:
        """Run a short program inside without a stream, and return its exit code."""

    def attach(self, reference: str, request: ExecRequest) -> Attachment:
        """Start a program inside and connect to it."""

    def resize(self, session: str, *, rows: int, columns: int) -> None:
        """Tell an attached program the size of its terminal; nothing if it has ended."""

    def signal(self, session: str, number: int) -> bool:
        """Send a signal to an attached program and its process group; nothing if it has ended.

        False if the engine cannot tell which process that is: the program then goes on.
        """

    def exit_code(self, session: str) -> int | None:
        """The exit code of an attached program; None while it runs."""

    def usage(self, reference: str, *, pid: int | None = None) -> ContainerUsage:
        """What a running container uses now. `pid`, from an earlier answer, saves asking for it."""

    def image(self, reference: str) -> EngineImage | None:
        """The local image behind a reference; None if there is none."""

    def images(self) -> list[EngineImage]:
        """All local images that have a tag."""

    def pull(self, reference: str) -> Generator[Progress, None, None]:
        """Fetch an image; closing the iterator cancels. Raises EngineNotFound, EngineRejected."""

    def build(self, spec: BuildSpec, context: Iterable[bytes]) -> Generator[Progress, None, None]:
        """Make an image from a tar archive; closing the generator cancels.

        Raises EngineNotFound or EngineRejected for a base image as `pull` does, and EngineRejected for all else:
        its data has `problem`, `build`, and for a step that failed `step`, and `exit_code` if a program ended so.
        """

    def tag(self, image: str, reference: str) -> None:
        """Give a local image one more tag."""

    def untag(self, reference: str) -> None:
        """Take a tag away; the image goes with its last one, if no container uses it. Nothing if it is not there."""

    def remove_image(self, reference: str) -> None:
        """Take a tag away, and the image with its last one, and what was kept of its steps.

        An image that has no tag is meant by its id, `sha256:…`. Raises EngineNotFound, EngineConflict when a
        container uses it.
        """
