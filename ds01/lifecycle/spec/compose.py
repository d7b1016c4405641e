"""Compose a container's specification from its request: the only place that computes limits, devices, labels. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime

from ds01.dataclass import dataclass
from ds01.engines.protocol import ContainerSpec, EngineImage, Mount, PublishedPort, UpdateSpec
from ds01.gpus.model import Lease
from ds01.lifecycle.spec.account import Insider
from ds01.policy.model import Limits, UserLimits
from ds01.policy.units import format_size
from ds01.records.record import SCHEMA
from ds01.records.request import ContainerRequest, RequestedLimits
from ds01.system.data import format_time
from ds01.system.owner_groups import HostGroup
from ds01.system.users import Account

CPU_PERIOD = 100_000  # microseconds; the kernel's default
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# One process, and never the image's entrypoint: AIME's tools stop the container when only process 1 is left.
SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
# Variables that a build may have left in the image and that are wrong in every container: which GPUs CUDA uses, the
# size of a terminal, and the idle seconds after which a shell, process 1, exits and so ends the container.
IMAGE_ONLY = ("CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "COLUMNS", "LINES", "TMOUT")
RESERVED_LABELS = ("ds01.", "aime.mlc")
MOUNT_TARGETS = WORKSPACE, DATA, MODELS = ("/workspace", "/data", "/models")  # inside


@dataclass(frozen=True)
class Placement:
    """Where a container goes. `inject`: pass the devices to the engine; false for simulated GPUs on a real Docker."""

    lease: Lease | None
    cgroup_parent: str
    slice_name: str
    inject: bool


@dataclass(frozen=True)
class Host:
    """Values of the host and the policy that apply to every container. `memory_bytes`: the machine's."""

    installation: str
    network: str
    memory_bytes: int


@dataclass(frozen=True)
class Identity:
    """What identifies a container: its record's id, full name, own image tag, and creation time."""

    id: str
    container_name: str
    own_tag: str
    created_at: datetime


def compose(
    request: ContainerRequest,
    owner: Account,
    limits: UserLimits,
    placement: Placement,
    image: EngineImage,
    host: Host,
    identity: Identity,
    groups: Sequence[HostGroup] = (),
    ports: tuple[PublishedPort, ...] = (),
) -> ContainerSpec:
    """Return the complete specification. The request's paths are resolved and its limits already checked."""
    given = within(limits.limits, request.wants)
    insider = Insider(owner.login, owner.uid, owner.gid, request.name)
    environment = _environment(request, insider, given, placement, image)
    return ContainerSpec(
        name=identity.container_name,
        image=identity.own_tag,
        command=SHELL,
        uid=owner.uid,
        gid=owner.gid,
        groups=tuple(group.gid for group in groups),
        hostname=request.name,
        environment=environment,
        removed_variables=tuple(
            sorted(name for name in IMAGE_ONLY if name in image.environment and name not in environment)
        ),
        labels=_labels(request, owner, limits, given, placement, image, host, identity),
        mounts=_mounts(request),
        ports=ports,
        network=host.network,
        **vars(resource_limits(given, placement.cgroup_parent, host.memory_bytes)),
        ulimits={name: value for name, value in given.ulimits.items() if value is not None},
        # An owner who may not be root inside must not become root through a setuid program of their own image.
        no_new_privileges=not given.root_inside,
        device_uuids=_uuids(placement) if placement.inject else (),
    )


def within(limits: Limits, wants: RequestedLimits) -> Limits:
    """Return the limits, replaced by the request's smaller ones where given."""
    changes = {name: value for name, value in vars(wants).items() if value is not None}
    return dataclasses.replace(limits, **changes)


def changeable(limits: Limits) -> UpdateSpec:
    """Return the limits that Docker can still change for an existing container."""
    return UpdateSpec(_cpu_quota(limits), CPU_PERIOD, limits.memory, _swap(limits), limits.pids_limit)


@dataclass(frozen=True)
class ResourceLimits:
    """The limits of a container or a build as Docker takes them: microseconds of CPU, bytes, processes."""

    cpu_quota: int | None
    cpu_period: int
    memory: int | None
    memory_swap: int | None
    shm_size: int | None
    pids_limit: int | None
    cgroup_parent: str

    @property
    def docker_arguments(self) -> tuple[str, ...]:
        """The limits as flags of `docker create`."""
        cpus = None if self.cpu_quota is None else self.cpu_quota / self.cpu_period
        flags = {
            "--cpus": None if cpus is None else f"{cpus:g}",
            "--memory": _size(self.memory),
            "--memory-swap": _size(self.memory_swap),
            "--shm-size": _size(self.shm_size),
            "--pids-limit": self.pids_limit,
            "--cgroup-parent": self.cgroup_parent,
        }
        return tuple(f"{flag}={value}" for flag, value in flags.items() if value is not None)


def limits_of(spec: ContainerSpec) -> ResourceLimits:
    """Return the limits in a container's specification."""
    return ResourceLimits(**{item.name: getattr(spec, item.name) for item in dataclasses.fields(ResourceLimits)})


def resource_limits(limits: Limits, cgroup_parent: str, machine_memory: int) -> ResourceLimits:
    """Return a user's limits for the engine. `machine_memory`: the server's, in bytes; 0: unknown."""
    # Without a limit, shared memory may be as large as the container's or the machine's memory, not Docker's 64 MiB.
    shm_size = limits.shm_size if limits.shm_size is not None else (limits.memory or machine_memory or None)
    return ResourceLimits(
        cpu_quota=_cpu_quota(limits),
        cpu_period=CPU_PERIOD,
        memory=limits.memory,
        memory_swap=_swap(limits),
        shm_size=shm_size,
        pids_limit=limits.pids_limit,
        cgroup_parent=cgroup_parent,
    )


def _cpu_quota(limits: Limits) -> int | None:
    """Return the CPU quota, capped to the enclosing slices': with cgroup v1 the kernel refuses more at the start."""
    around = (limits.max_cpus, limits.aggregate.max_cpus, limits.group_total.max_cpus)
    if limits.max_cpus is None:
        return None
    return round(min(cpus for cpus in around if cpus is not None) * CPU_PERIOD)


def _swap(limits: Limits) -> int | None:
    """Return the limit of RAM plus swap. None: the memory limit, so no swap. Docker refuses less than the memory."""
    if limits.memory is None or limits.memory_swap is None:
        return limits.memory
    return max(limits.memory, limits.memory_swap)


def _size(size: int | None) -> str | None:
    return None if size is None else format_size(size)


def _uuids(placement: Placement) -> tuple[str, ...]:
    return tuple(ref.uuid for ref in placement.lease.slots) if placement.lease else ()


def _environment(
    request: ContainerRequest, insider: Insider, limits: Limits, placement: Placement, image: EngineImage
) -> dict[str, str]:
    """Return the variables: ds01's override the request's, these the policy's, and all of them the image's."""
    path = image.environment.get("PATH") or DEFAULT_PATH
    devices = _uuids(placement) if placement.inject else ()
    fixed = {
        "HOME": insider.home,
        "USER": insider.login,
        "LOGNAME": insider.login,
        "PATH": f"{insider.home}/.local/bin:{path}",
        "ENV": f"{insider.home}/.shrc",  # read by a plain interactive sh; bash reads ~/.bashrc
        "HF_HOME": "/workspace/.cache/huggingface",
        "TORCH_HOME": "/workspace/.cache/torch",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # Always set: images have `all`, which would give access to every GPU if the default runtime is nvidia.
        "NVIDIA_VISIBLE_DEVICES": ",".join(devices) or "void",
    }
    if devices:
        fixed |= _driver_capabilities(image)
    given = {name: value for name, value in limits.environment.items() if value is not None}
    return given | dict(request.environment) | fixed


def _driver_capabilities(image: EngineImage) -> dict[str, str]:
    """Return the image's capabilities plus those for CUDA: an image for graphics alone could not use its GPU."""
    has = [part.strip() for part in image.environment.get("NVIDIA_DRIVER_CAPABILITIES", "").split(",") if part.strip()]
    missing = [part for part in ("compute", "utility") if part not in has]
    return {} if "all" in has or not missing else {"NVIDIA_DRIVER_CAPABILITIES": ",".join([*missing, *has])}


def _labels(
    request: ContainerRequest,
    owner: Account,
    limits: UserLimits,
    given: Limits,
    placement: Placement,
    image: EngineImage,
    host: Host,
    identity: Identity,
) -> dict[str, str]:
    slots = placement.lease.slots if placement.lease else ()
    shown = {
        "max_cpus": given.max_cpus,
        "memory": given.memory,
        "shm_size": given.shm_size,
        "pids_limit": given.pids_limit,
    }
    labels = {
        "ds01.managed": "true",
        "ds01.installation": host.installation,
        "ds01.container": identity.container_name,
        "ds01.id": identity.id,
        "ds01.schema": str(SCHEMA),
        "ds01.user": owner.login,
        "ds01.uid": str(owner.uid),
        "ds01.project": request.project or request.name,
        "ds01.group": limits.group,
        "ds01.image": request.image,
        "ds01.slice": placement.slice_name,
        "ds01.created": format_time(identity.created_at),
        "ds01.gpu.slots": ";".join(ref.slot for ref in slots),
        "ds01.gpu.uuids": ";".join(ref.uuid for ref in slots),
        "ds01.limits": ";".join(f"{key}={value}" for key, value in shown.items() if value is not None),
        # For AIME's tools to list, open, start, stop and remove the container.
        "aime.mlc": owner.login,
        "aime.mlc.USER": owner.login,
        "aime.mlc.NAME": request.name,
        "aime.mlc.FRAMEWORK": request.framework or request.image,
        "aime.mlc.ARCH": "-",
        "aime.mlc.VERSION": "3",
        "aime.mlc.MLC_VERSION": "4",
        "aime.mlc.WORK_MOUNT": request.workspace or "-",
        "aime.mlc.DATA_MOUNT": request.data or "-",
        "aime.mlc.MODELS_MOUNT": request.models or "-",
        "aime.mlc.GPUS": ";".join(ref.slot for ref in slots) or "-",
    }
    # AIME's list splits at commas and crashes for everybody on an extra one, so inherited values must not have any.
    inherited = {key: value.replace(",", ";") for key, value in image.labels.items() if "," in value}
    theirs = {key: value.replace(",", ";") for key, value in request.labels.items()}
    ours = {key: "-" if "," in value else value for key, value in labels.items()}
    stale = {key: "" for key in image.labels if key.startswith(RESERVED_LABELS)}  # inherited from a committed image
    return inherited | stale | theirs | ours


def _mounts(request: ContainerRequest) -> tuple[Mount, ...]:
    folders: Mapping[str, str | None] = {
        WORKSPACE: request.workspace,
        DATA: request.data,
        MODELS: request.models,
    }
    return tuple(Mount(source, target) for target, source in folders.items() if source is not None)
