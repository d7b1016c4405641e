"""Translate a `ContainerSpec` to the body of Docker's create, and Docker's JSON to `Engine` data. No SDK, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ds01.engines.docker.devices import devices_of, environment_of
from ds01.engines.protocol import (
    ContainerSpec,
    ContainerStatus,
    EngineContainer,
    EngineImage,
    EngineInfo,
    Mount,
    PublishedPort,
    UpdateSpec,
)
from ds01.system.data import DataError, parse_time

_DEFAULT_PERIOD = 100_000  # microseconds; the default of the kernel and of Docker


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """Return the body of create. Every security-relevant key is set, so that no default of Docker decides."""
    return {
        "Image": spec.image,
        "Cmd": list(spec.command),
        "Entrypoint": [],  # the image's entrypoint would run instead of the command
        "Healthcheck": {"Test": ["NONE"]},  # the image's would look like activity
        "Hostname": spec.hostname or "",
        "Domainname": "",
        "User": f"{spec.uid}:{spec.gid}",
        "WorkingDir": spec.workdir,
        "Env": [*(f"{name}={value}" for name, value in spec.environment.items()), *spec.removed_variables],
        "Labels": dict(spec.labels),
        "Tty": spec.tty,
        "OpenStdin": True,
        "StdinOnce": False,  # otherwise the first client to detach would close it for the shell, process 1
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "NetworkDisabled": False,
        "StopSignal": spec.stop_signal,
        "ExposedPorts": {f"{port.container_port}/tcp": {} for port in spec.ports},
        "HostConfig": _host_config(spec),
    }


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    memory, swap = _memory(spec)
    return {
        "Privileged": False,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},  # only ds01 starts containers, after they have a lease
        "AutoRemove": False,
        "IpcMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "UsernsMode": spec.user_namespace,
        "CapAdd": [],
        "CapDrop": [],
        # Explicit, or `no-new-privileges` in the daemon's configuration would decide whether sudo works inside.
        "SecurityOpt": [f"no-new-privileges:{str(spec.no_new_privileges).lower()}"],
        "Sysctls": {},
        "ReadonlyRootfs": False,
        "Runtime": "",
        "Init": False,  # one process inside: AIME's mlc-open counts them
        "Devices": [],
        "DeviceCgroupRules": [],
        "DeviceRequests": _device_requests(spec.device_uuids),
        "Binds": [],
        "VolumesFrom": [],
        "Tmpfs": {},
        "Links": [],
        # Mounts rather than Binds: Docker creates a bind's missing source as root, and refuses a mount's.
        "Mounts": [
            {
                "Type": "bind",
                "Source": mount.source,
                "Target": mount.target,
                "ReadOnly": mount.read_only,
                "BindOptions": {"Propagation": "rprivate"},
            }
            for mount in spec.mounts
        ],
        "NetworkMode": spec.network,
        "PublishAllPorts": False,
        "PortBindings": _port_bindings(spec.ports),
        "GroupAdd": [str(group) for group in spec.groups],
        "NanoCpus": 0,  # Docker refuses more than the host has; a quota may be larger
        "CpuPeriod": spec.cpu_period if spec.cpu_quota is not None else 0,
        "CpuQuota": spec.cpu_quota if spec.cpu_quota is not None else 0,
        "Memory": memory,
        "MemorySwap": swap,
        "OomKillDisable": False,
        "ShmSize": spec.shm_size if spec.shm_size is not None else 0,
        "PidsLimit": spec.pids_limit if spec.pids_limit is not None else -1,
        "Ulimits": [{"Name": name, "Soft": value, "Hard": value} for name, value in spec.ulimits.items()],
        "CgroupParent": spec.cgroup_parent or "",
    }


def update_body(limits: UpdateSpec, host: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of update. `host` is the container's current HostConfig. Keys not in the body are unchanged."""
    body: dict[str, Any] = {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}
    if limits.cpu_quota is not None:
        if host.get("NanoCpus"):  # set with `--cpus`, which Docker does not combine with a quota
            body["NanoCpus"] = limits.cpu_quota * 10**9 // limits.cpu_period
        else:
            body |= {"CpuPeriod": limits.cpu_period, "CpuQuota": limits.cpu_quota}
    if limits.memory is not None:
        # Always both: Docker refuses memory above the current swap limit.
        body |= {"Memory": limits.memory, "MemorySwap": -1 if limits.memory_swap is None else limits.memory_swap}
    if limits.pids_limit is not None:
        body["PidsLimit"] = limits.pids_limit
    return body


def _memory(spec: ContainerSpec) -> tuple[int, int]:
    if spec.memory is None:
        if spec.memory_swap is None or spec.memory_swap < 0:
            return 0, 0
        # Docker requires a memory limit too. If the sum is limited, so is memory.
        return spec.memory_swap, spec.memory_swap
    # 0 would mean as much swap again as memory.
    return spec.memory, -1 if spec.memory_swap is None else spec.memory_swap


def _device_requests(uuids: tuple[str, ...]) -> list[dict[str, Any]]:
    if not uuids:
        return []
    return [{"Driver": "", "Count": 0, "DeviceIDs": list(uuids), "Capabilities": [["gpu"]], "Options": {}}]


def _port_bindings(ports: tuple[PublishedPort, ...]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        host_port = "" if port.host_port is None else str(port.host_port)
        binding = {"HostIp": port.host_ip, "HostPort": host_port}
        bindings.setdefault(f"{port.container_port}/tcp", []).append(binding)
    return bindings


def read_listed(entry: Mapping[str, Any]) -> EngineContainer:
    """Parse a container of a list. A half removed one can lack nearly every field, and must not fail the list."""
    return EngineContainer(
        id=entry["Id"],
        name=_primary_name(entry.get("Names") or []),
        image=entry.get("Image") or "",
        status=_status(entry.get("State") or ""),
        labels=entry.get("Labels") or {},
        created_at=datetime.fromtimestamp(entry.get("Created") or 0, timezone.utc),
        image_id=entry.get("ImageID"),
        ports=tuple(
            PublishedPort(port["PrivatePort"], port["PublicPort"], port.get("IP", ""))
            for port in entry.get("Ports") or []
            if port.get("PublicPort") and port.get("Type") == "tcp"
        ),
    )


def read_inspected(entry: Mapping[str, Any], default_runtime: Callable[[], str]) -> EngineContainer:
    """Parse a container of an inspect."""
    state = entry["State"]
    status = _status(state["Status"])
    is_ended = status in (ContainerStatus.EXITED, ContainerStatus.DEAD)
    return EngineContainer(
        id=entry["Id"],
        name=_primary_name([entry["Name"]]),
        image=entry["Config"]["Image"],
        status=status,
        labels=entry["Config"].get("Labels") or {},
        created_at=parse_time(entry["Created"]),
        image_id=entry.get("Image"),
        started_at=read_time(state.get("StartedAt")),
        finished_at=read_time(state.get("FinishedAt")),
        exit_code=state.get("ExitCode") if is_ended else None,
        oom_killed=is_ended and bool(state.get("OOMKilled")),
        pid=state.get("Pid") or None,
        devices=devices_of(entry, default_runtime),
        spec=_read_spec(entry),
        privileged=bool(entry["HostConfig"].get("Privileged")),
        ports=_read_ports((entry.get("NetworkSettings") or {}).get("Ports")),
        size_bytes=entry.get("SizeRw"),
    )


def _read_spec(entry: Mapping[str, Any]) -> ContainerSpec:
    config, host = entry["Config"], entry["HostConfig"]
    uid, gid = _read_user(config.get("User") or "")
    quota, period = _read_cpu(host)
    requests = host.get("DeviceRequests") or []
    return ContainerSpec(
        name=_primary_name([entry["Name"]]),
        image=config["Image"],
        command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        uid=uid,
        gid=gid,
        groups=tuple(int(group) for group in host.get("GroupAdd") or () if group.isdigit()),
        workdir=config.get("WorkingDir") or "/",
        hostname=config["Hostname"] if config.get("Hostname") not in ("", None, entry["Id"][:12]) else None,
        environment=environment_of(entry),
        removed_variables=tuple(sorted(name for name in config.get("Env") or () if "=" not in name)),
        labels=config.get("Labels") or {},
        mounts=_read_mounts(host),
        ports=_read_ports(host.get("PortBindings")),
        network="bridge" if host.get("NetworkMode") in ("default", "", None) else host["NetworkMode"],
        tty=bool(config.get("Tty")),
        stop_signal=config.get("StopSignal") or "SIGTERM",
        cpu_quota=quota,
        cpu_period=period,
        memory=host.get("Memory") or None,
        memory_swap=_positive(host.get("MemorySwap")),
        shm_size=host.get("ShmSize") or None,
        pids_limit=_positive(host.get("PidsLimit")),
        ulimits={limit["Name"]: limit["Soft"] for limit in host.get("Ulimits") or ()},
        cgroup_parent=host.get("CgroupParent") or None,
        no_new_privileges=_read_no_new_privileges(host.get("SecurityOpt") or ()),
        user_namespace=host.get("UsernsMode") or "",
        device_uuids=tuple(device for request in requests for device in request.get("DeviceIDs") or ()),
    )


def _read_user(user: str) -> tuple[int, int]:
    name, _, group = user.partition(":")
    # Docker has already filled in the image's user, if any: empty means root.
    uid = int(name) if name.isdigit() else 0 if name in ("", "root") else -1
    return uid, int(group) if group.isdigit() else 0 if user == "" else -1


def _read_no_new_privileges(options: Iterable[str]) -> bool:
    found = [option.replace("=", ":", 1) for option in options]
    return any(option in ("no-new-privileges", "no-new-privileges:true") for option in found)


def _read_cpu(host: Mapping[str, Any]) -> tuple[int | None, int]:
    if host.get("NanoCpus"):
        return int(host["NanoCpus"]) * _DEFAULT_PERIOD // 10**9, _DEFAULT_PERIOD
    return _positive(host.get("CpuQuota")), host.get("CpuPeriod") or _DEFAULT_PERIOD


def _read_mounts(host: Mapping[str, Any]) -> tuple[Mount, ...]:
    mounts = [
        Mount(mount["Source"], mount["Target"], bool(mount.get("ReadOnly")))
        for mount in host.get("Mounts") or ()
        if mount.get("Type") == "bind"
    ]
    for bind in host.get("Binds") or ():  # SOURCE:TARGET[:OPTION,…]; without a slash it is a volume
        source, _, rest = bind.partition(":")
        target, _, options = rest.partition(":")
        if source.startswith("/"):
            mounts.append(Mount(source, target, "ro" in options.split(",")))
    return tuple(mounts)


def _read_ports(bindings: Mapping[str, Any] | None) -> tuple[PublishedPort, ...]:
    ports = []
    for name, hosts in sorted((bindings or {}).items()):
        number, _, kind = name.partition("/")
        for host in hosts or ():
            if kind in ("tcp", ""):
                ports.append(
                    PublishedPort(int(number), int(host.get("HostPort") or 0) or None, host.get("HostIp") or "")
                )
    return tuple(ports)


def read_info(info: Mapping[str, Any]) -> EngineInfo:
    """Parse the answer of `/info`."""
    return EngineInfo(
        id=info.get("ID") or "",
        name="docker",
        version=info.get("ServerVersion") or "",
        cgroup_driver=info.get("CgroupDriver") or "none",
        cgroup_version=str(info.get("CgroupVersion") or "1"),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        default_runtime=info.get("DefaultRuntime") or "runc",
        runtimes=tuple(sorted(info.get("Runtimes") or {})),
        cpus=info.get("NCPU") or 0,
        memory_bytes=info.get("MemTotal") or 0,
        security_options=tuple(_security_option(option) for option in info.get("SecurityOptions") or ()),
        root_dir=info.get("DockerRootDir") or None,
    )


def _security_option(option: str) -> str:
    """Return `seccomp` for `name=seccomp,profile=default`; releases before 17 give the bare name."""
    return option.partition(",")[0].removeprefix("name=")


def read_image(entry: Mapping[str, Any]) -> EngineImage:
    """Parse an image of a list (without its environment) or of an inspect."""
    created = entry.get("Created")
    if isinstance(created, int):
        when: datetime | None = datetime.fromtimestamp(created, timezone.utc)
    else:
        when = read_time(created)
    return EngineImage(
        id=entry["Id"],
        tags=tuple(tag for tag in entry.get("RepoTags") or () if "<none>" not in tag),
        labels=(entry.get("Config") or {}).get("Labels") or entry.get("Labels") or {},
        environment=environment_of(entry),
        created_at=when,
        size_bytes=entry.get("Size"),
    )


def read_time(text: str | None) -> datetime | None:
    """Parse a time of Docker; None for year 1, which means never, and for invalid times."""
    if not text or text.startswith("0001-01-01"):
        return None
    try:
        return parse_time(text)
    except DataError:
        return None


def _primary_name(names: list[str]) -> str:
    # A container that another one links to has a second name with two parts.
    primary_names = [name.removeprefix("/") for name in names if "/" not in name.removeprefix("/")]
    return primary_names[0] if primary_names else ""


def _status(word: str) -> ContainerStatus:
    try:
        return ContainerStatus(word)
    except ValueError:
        # A newer engine's state, such as `stopping`: as with `removing`, nothing may be concluded from it.
        return ContainerStatus.REMOVING


def _positive(number: int | None) -> int | None:
    return number if number is not None and number > 0 else None
