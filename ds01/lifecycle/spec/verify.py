"""What the engine has, held against what it was told. Pure."""

from __future__ import annotations

from ds01.engines.protocol import ContainerSpec, EngineContainer

LIMITS = ("cpu_quota", "memory", "memory_swap", "shm_size", "pids_limit")


def differences(wanted: ContainerSpec, seen: EngineContainer) -> tuple[list[str], list[str]]:
    """What is wrong, and what is merely less than wanted: a limit that this kernel cannot enforce."""
    has = seen.spec
    if has is None:
        return ["the engine does not say what it made"], []
    wrong = [
        f"{what}: wanted {want!r}, has {got!r}"
        for what, want, got in (
            ("user", (wanted.uid, wanted.gid), (has.uid, has.gid)),
            ("groups", sorted(wanted.groups), sorted(has.groups)),
            ("no-new-privileges", wanted.no_new_privileges, has.no_new_privileges),
            ("user namespace", wanted.user_namespace, has.user_namespace),
            ("removed variables", wanted.removed_variables, has.removed_variables),
            ("devices", sorted(wanted.device_uuids), sorted(seen.devices.ids) if seen.devices else []),
            ("mounts", sorted(map(str, wanted.mounts)), sorted(map(str, has.mounts))),
            ("labels", dict(wanted.labels), {key: has.labels.get(key) for key in wanted.labels}),
            ("cgroup parent", wanted.cgroup_parent, has.cgroup_parent),
            ("network", wanted.network, has.network),
            ("image", wanted.image, has.image),
            ("process", wanted.command, has.command),
            ("published ports", _ports(wanted, wanted), _ports(has, wanted)),
        )
        if want != got
    ]
    if seen.devices and seen.devices.everything:
        wrong.append(f"devices: it may use every GPU ({seen.devices.form})")
    if seen.privileged:
        wrong.append("it is privileged")
    visible = wanted.environment.get("NVIDIA_VISIBLE_DEVICES")
    if has.environment.get("NVIDIA_VISIBLE_DEVICES") != visible:
        wrong.append(f"NVIDIA_VISIBLE_DEVICES is not {visible}")
    weak = [
        f"{name} is not enforced by this kernel: wanted {getattr(wanted, name)}, has {getattr(has, name)}"
        for name in LIMITS
        if getattr(wanted, name) is not None and getattr(wanted, name) != getattr(has, name)
    ]
    return wrong, weak


def _ports(spec: ContainerSpec, wanted: ContainerSpec) -> list[tuple[int, str, int | None]]:
    """The ports of `spec`; those of the server only where `wanted` names one."""
    named = {port.container_port for port in wanted.ports if port.host_port is not None}
    return sorted(
        (port.container_port, port.host_ip, port.host_port if port.container_port in named else None)
        for port in spec.ports
    )
