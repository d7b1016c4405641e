"""Compare a created container with its specification. Pure."""

from __future__ import annotations

from ds01.engines.protocol import ContainerSpec, EngineContainer

LIMITS = ("cpu_quota", "memory", "memory_swap", "shm_size", "pids_limit")


def differences(wanted: ContainerSpec, container: EngineContainer) -> tuple[list[str], list[str]]:
    """Return the errors, and the warnings about limits that this kernel cannot enforce."""
    has = container.spec
    if has is None:
        return ["the engine does not report the container's settings"], []
    wrong = [
        f"{what}: wanted {want!r}, has {got!r}"
        for what, want, got in (
            ("user", (wanted.uid, wanted.gid), (has.uid, has.gid)),
            ("groups", sorted(wanted.groups), sorted(has.groups)),
            ("no-new-privileges", wanted.no_new_privileges, has.no_new_privileges),
            ("user namespace", wanted.user_namespace, has.user_namespace),
            ("removed variables", wanted.removed_variables, has.removed_variables),
            ("devices", sorted(wanted.device_uuids), sorted(container.devices.ids) if container.devices else []),
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
    if container.devices and container.devices.everything:
        wrong.append(f"devices: it has access to every GPU ({container.devices.form})")
    if container.privileged:
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
    """Return the ports of `spec`; the server's port only where `wanted` gives one."""
    named = {port.container_port for port in wanted.ports if port.host_port is not None}
    return sorted(
        (port.container_port, port.host_ip, port.host_port if port.container_port in named else None)
        for port in spec.ports
    )
