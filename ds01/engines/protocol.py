"""The interface to whatever runs containers, and its data types.

Errors: EngineUnreachable (nothing was observed), EngineNotFound, EngineConflict, EngineRejected (ds01.errors).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum
from typing import Protocol

from ds01.dataclass import dataclass


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
    """The complete description of a container to create; the engine only translates it. Sizes in bytes."""

    name: str
    image: str  # the container's own tag: AIME's tools remove the image that `docker ps` shows
    command: tuple[str, ...]
    uid: int
    gid: int
    groups: tuple[int, ...] = ()  # supplementary
    workdir: str = "/workspace"
    hostname: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    removed_variables: tuple[str, ...] = ()  # of the image, sorted: unset
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    network: str = "bridge"
    tty: bool = True
    stop_signal: str = "SIGHUP"
    cpu_quota: int | None = None  # microseconds in each `cpu_period`
    cpu_period: int = 100_000
    memory: int | None = None
    memory_swap: int | None = None  # RAM and swap together, as in Docker; None: no limit on swap
    shm_size: int | None = None
    pids_limit: int | None = None
    ulimits: Mapping[str, int] = field(default_factory=dict)  # soft and hard; -1: unlimited
    cgroup_parent: str | None = None
    no_new_privileges: bool = False  # disables setuid programs such as sudo
    user_namespace: str = "host"  # uids inside equal the host's, even if Docker remaps by default
    device_uuids: tuple[str, ...] = ()  # GPUs to inject; empty: no device request


@dataclass(frozen=True)
class UpdateSpec:
    """The limits that can be changed after creation, as in `ContainerSpec`. None: unchanged.

    `memory_swap` None together with a `memory` means no limit on swap.
    """

    cpu_quota: int | None = None
    cpu_period: int = 100_000
    memory: int | None = None
    memory_swap: int | None = None
    pids_limit: int | None = None


@dataclass(frozen=True)
class EngineInfo:
    """The engine's properties. `id` identifies one Docker installation."""

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
    started_at: datetime | None = None  # the engine's start; None: unknown
    booted_at: datetime | None = None  # the machine's start
    security_options: tuple[str, ...] = ()  # as Docker names them: seccomp, apparmor, userns, rootless, ...
    root_dir: str | None = None  # its directory of images and containers; None: unknown


@dataclass(frozen=True)
class PathStatus:
    """A path inside a container: permission bits, and the final target of a link."""

    mode: int
    link: str | None = None


@dataclass(frozen=True)
class Devices:
    """The GPU access of a container, in any form.

    A count or an unclear form counts as `everything`, since it does not tell which devices it means.
    """

    ids: tuple[str, ...] = ()  # UUIDs or indexes, as written; CDI names without their vendor prefix
    everything: bool = False
    form: str | None = None  # privileged, device_request, cdi, device, environment, joined by commas, to show

    def __bool__(self) -> bool:
        return self.everything or bool(self.ids)


@dataclass(frozen=True)
class EngineContainer:
    """A container as the engine lists it. Fields below `detail` are only known after an inspect."""

    id: str
    name: str
    image: str
    status: ContainerStatus
    labels: Mapping[str, str]
    created_at: datetime
    image_id: str | None = None  # the image behind `image` when the container was created
    # detail
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    pid: int | None = None
    devices: Devices | None = None  # None: not inspected
    spec: ContainerSpec | None = None  # read back from the engine
    privileged: bool = False
    ports: tuple[PublishedPort, ...] = ()
    size_bytes: int | None = None  # of its own layer, if requested
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineImage:
    """A local image. A list of images leaves `environment` empty."""

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    created_at: datetime | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class DiskItem:
    """What an image, container or volume takes on disk. `names`: an image's tags. None: unknown."""

    id: str
    names: tuple[str, ...]
    size_bytes: int | None


@dataclass(frozen=True)
class DiskUsage:
    """What the engine keeps on disk. An image has the size of the layers that no other has, a container its own layer.

    `layers_bytes`: all layers of all images together.
    """

    layers_bytes: int | None
    images: tuple[DiskItem, ...]
    containers: tuple[DiskItem, ...]
    volumes: tuple[DiskItem, ...]
    build_cache_bytes: int | None


@dataclass(frozen=True)
class CreateResult:
    """The result of a create; `warnings` are the engine's messages on what this kernel cannot enforce."""

    id: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """Progress of a pull (`current` of `total` bytes, if the engine reports them) or of a build.

    In a build `step` is `3/9 RUN …`, `current` its number, `total` the number of steps, and `text` one line of output,
    or empty when the step begins. At the end `step` is `built`, and `text` the image's id.
    A `warning` belongs to no step: its text is for the user.
    """

    step: str  # a layer's id, or the whole
    text: str
    current: int | None = None
    total: int | None = None
    warning: bool = False


@dataclass(frozen=True)
class BuildSpec:
    """An image to build. It gets the tag `reference` only when it is complete. Sizes in bytes.

    The limits apply to the container of each step; Docker does not limit its number of processes.
    """

    reference: str
    dockerfile: str = "Dockerfile"  # its path in the context
    labels: Mapping[str, str] = field(default_factory=dict)  # added to the Dockerfile's labels
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
    """The usage of a running container. CPU is the total since its start in nanoseconds; memory in bytes."""

    cpu_nanoseconds: int | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    pids: int | None
    network_bytes: int | None = None  # in and out since its start, loopback left out; None with the host's network
    pid: int | None = None  # its first process on the host, for the next call
    io_read_bytes: int | None = None  # from disks since its start, without what was in memory already
    io_write_bytes: int | None = None


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
    """A stream connected to a program inside: a file descriptor that the receiver owns and closes.

    Without `tty` the stream from the engine comes in Docker's frames: 1 byte stream (1 out, 2 err), 3 zero bytes,
    4 bytes length (big-endian), payload. `initial_bytes` came with the answer and belong before the stream.
    """

    fileno: int
    session: str
    tty: bool
    initial_bytes: bytes = b""


class Engine(Protocol):
    """An engine that runs containers. `reference` is a container's id or name."""

    def info(self) -> EngineInfo:
        """Return the engine's properties."""

    def containers(self) -> list[EngineContainer]:
        """Return all containers of the host in one call, with labels, without detail."""

    def inspect(self, reference: str, *, size: bool = False) -> EngineContainer | None:
        """Return one container with its detail; None only if the engine said that it does not exist."""

    def create(self, spec: ContainerSpec) -> CreateResult:
        """Create a container. Raises EngineConflict if the name is taken, EngineNotFound without the image."""

    def update(self, reference: str, limits: UpdateSpec) -> tuple[str, ...]:
        """Change the limits of a container, running or not, and disable automatic restarts by the engine.

        Returns the engine's messages on what this kernel cannot enforce. Raises EngineNotFound, EngineRejected.
        """

    def start(self, reference: str) -> None:
        """Start a container; does nothing if it runs. Raises EngineConflict if it is paused."""

    def stop(self, reference: str, *, grace: float) -> None:
        """Send the stop signal, and SIGKILL after `grace` seconds, rounded up; does nothing if it does not run."""

    def remove(self, reference: str) -> None:
        """Remove a container that does not run. Raises EngineNotFound, EngineConflict."""

    def rename(self, reference: str, name: str) -> None:
        """Rename a container, running or not. Raises EngineNotFound, EngineConflict if the name is taken."""

    def pause(self, reference: str) -> None:
        """Freeze all processes of a container."""

    def unpause(self, reference: str) -> None:
        """Resume the processes of a paused container."""

    def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
        """Unpack a tar archive into the existing directory `folder` of a container, also one that never ran."""

    def get_archive(self, reference: str, path: str) -> bytes | None:
        """Return a tar archive of `path` in a container, also one that never ran; None if the path does not exist."""

    def path_status(self, reference: str, path: str) -> PathStatus | None:
        """Return the status of `path` in a container, also one that never ran; None if the path does not exist."""

    def processes(self, reference: str) -> list[ContainerProcess]:
        """Return the processes of a running container, process 1 first."""

    def run(self, reference: str, request: ExecRequest) -> int:
        """Run a short program inside without a stream, and return its exit code."""

    def attach(self, reference: str, request: ExecRequest) -> Attachment:
        """Start a program inside and connect to it."""

    def resize(self, session: str, *, rows: int, columns: int) -> None:
        """Set the terminal size of an attached program; does nothing if it has ended."""

    def signal(self, session: str, number: int) -> bool:
        """Send a signal to an attached program and its process group; does nothing if it has ended.

        Returns False if the engine cannot identify the process: the program then continues.
        """

    def exit_code(self, session: str) -> int | None:
        """Return the exit code of an attached program; None while it runs."""

    def usage(self, reference: str, *, pid: int | None = None) -> ContainerUsage:
        """Return the current usage of a running container. `pid`, from an earlier answer, saves a request."""

    def usages(self, pids: Mapping[str, int | None], *, network: bool = True) -> dict[str, ContainerUsage]:
        """Return the current usage of many containers, by the ids that are the keys of `pids`.

        The values are as `pid` of `usage`. A container that does not run, or cannot be inspected, is left out.
        `network`: with the network bytes, which take as long as all the rest.
        """

    def disk_usage(self) -> DiskUsage:
        """Return what takes how much disk space. That can take minutes: for the tick, not while somebody waits."""

    def image(self, reference: str) -> EngineImage | None:
        """Return the local image for a reference; None if there is none."""

    def images(self) -> list[EngineImage]:
        """Return all tagged local images."""

    def pull(self, reference: str) -> Generator[Progress, None, None]:
        """Pull an image; closing the generator cancels. Raises EngineNotFound, EngineRejected."""

    def build(self, spec: BuildSpec, context: Iterable[bytes]) -> Generator[Progress, None, None]:
        """Build an image from a tar archive; closing the generator cancels.

        Raises EngineNotFound or EngineRejected for a base image as `pull` does, and EngineRejected for anything else:
        its data has `problem`, `build`, and for a step that failed `step`, and `exit_code` if a program ended so.
        """

    def tag(self, image: str, reference: str) -> None:
        """Add a tag to a local image."""

    def untag(self, reference: str) -> None:
        """Remove a tag, and the image with its last tag if no container uses it. A missing tag is ignored."""

    def remove_image(self, reference: str) -> None:
        """Remove a tag, and with its last tag the image and its untagged steps.

        An image without a tag is given by its id, `sha256:…`. Raises EngineNotFound, and EngineConflict if a container
        uses it.
        """
