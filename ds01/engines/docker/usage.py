"""Read a container's usage from its cgroup, which takes 2 ms; Docker's `stats` takes one to two seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ds01.engines.protocol import ContainerUsage

_UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as the largest number of pages


def read_usage(pid: int, *, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> ContainerUsage:
    """Return the usage of the cgroups of a process; None for each number that cannot be read."""
    folders = _cgroup_directories(pid, proc, cgroups)
    unified = "" in folders and (folders[""] / "memory.current").exists()
    usage = _usage_v2(folders[""]) if unified else _usage_v1(folders)
    return replace(usage, network_bytes=_network(pid, proc), pid=pid)


def is_in_container(pid: int, container: str, *, proc: Path = Path("/proc")) -> bool:
    """Return whether a process is in a container's cgroup, as its pid may have been reused."""
    try:
        return container in (proc / str(pid) / "cgroup").read_text()
    except OSError:
        return False


def _network(pid: int, proc: Path) -> int | None:
    """Return bytes in and out of the process's network, without loopback; None if it is the host's network."""
    try:
        if (proc / str(pid) / "ns" / "net").readlink() == (proc / "1" / "ns" / "net").readlink():
            return None
    except OSError:
        pass  # only root can read which network it is; everybody can read the counters
    try:
        lines = (proc / str(pid) / "net" / "dev").read_text().splitlines()[2:]
    except OSError:
        return None
    total = 0
    for line in lines:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        if name.strip() != "lo" and len(fields) > 8:
            total += int(fields[0]) + int(fields[8])
    return total


def _cgroup_directories(pid: int, proc: Path, cgroups: Path) -> dict[str, Path]:
    """Return the process's cgroup directory for each controller; for version 2 the key is empty."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return {}
    folders: dict[str, Path] = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            folders[name] = cgroups / name / path.lstrip("/")
        if "," in controllers and not folders[controllers.split(",")[0]].exists():
            # Controllers that are mounted together share a directory; links with single names may be missing.
            folders.update({name: cgroups / controllers / path.lstrip("/") for name in controllers.split(",")})
    return folders


def _usage_v2(folder: Path) -> ContainerUsage:
    cpu = _read_table(folder / "cpu.stat").get("usage_usec")
    return ContainerUsage(
        cpu_nanoseconds=None if cpu is None else cpu * 1000,
        memory_bytes=_without_cache(_read_number(folder / "memory.current"), folder, "inactive_file"),
        memory_limit_bytes=_read_number(folder / "memory.max"),
        pids=_read_number(folder / "pids.current"),
    )


def _usage_v1(folders: dict[str, Path]) -> ContainerUsage:
    missing = Path("/nonexistent")
    memory = folders.get("memory", missing)
    limit = _read_number(memory / "memory.limit_in_bytes")
    return ContainerUsage(
        cpu_nanoseconds=_read_number(folders.get("cpuacct", missing) / "cpuacct.usage"),
        memory_bytes=_without_cache(_read_number(memory / "memory.usage_in_bytes"), memory, "total_inactive_file"),
        memory_limit_bytes=None if limit is None or limit > _UNLIMITED else limit,
        pids=_read_number(folders.get("pids", missing) / "pids.current"),
    )


def _without_cache(used: int | None, folder: Path, key: str) -> int | None:
    # As in `docker stats`: page cache that can be dropped at once does not count.
    if used is None:
        return None
    return max(0, used - _read_table(folder / "memory.stat").get(key, 0))


def _read_number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # absent, or "max"
        return None


def _read_table(path: Path) -> dict[str, int]:
    try:
        pairs = (line.split() for line in path.read_text().splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
    except (OSError, ValueError):
        return {}
