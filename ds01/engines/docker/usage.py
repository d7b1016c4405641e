"""Read a container's usage from its cgroup, which takes 0.1 ms; Docker's `stats` takes one to two seconds.

Paths are plain strings: for 400 containers, building them as `Path` would take longer than reading the files.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ds01.engines.protocol import ContainerUsage

_UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as the largest number of pages
_BUFFER = 1 << 16  # bytes; the longest file, io.stat, has a line per disk


def read_usage(
    pid: int,
    container: str | None = None,
    *,
    network: bool = True,
    proc: Path | str = "/proc",
    cgroups: Path | str = "/sys/fs/cgroup",
) -> ContainerUsage | None:
    """Return the usage of the cgroups of a process; None for each number that cannot be read.

    `container`: an id; None as a whole if the process is not in its cgroup, as its pid may have been reused. `network`:
    read the network too, which takes as long as all the rest.
    """
    membership = _read(f"{proc}/{pid}/cgroup") or b""
    text = membership.decode("utf-8", "surrogateescape")
    if container is not None and container not in text:
        return None
    directories = _cgroup_directories(text, cgroups)
    memory_v2 = _read_number(f"{directories['']}/memory.current") if "" in directories else None
    network_bytes = _network(pid, proc) if network else None
    if memory_v2 is not None or directories.keys() == {""}:
        return _usage_v2(directories[""], memory_v2, network_bytes, pid)
    return _usage_v1(directories, network_bytes, pid)


def is_in_container(pid: int, container: str, *, proc: Path | str = "/proc") -> bool:
    """Return whether a process is in a container's cgroup, as its pid may have been reused."""
    return container.encode() in (_read(f"{proc}/{pid}/cgroup") or b"")


def _network(pid: int, proc: Path | str) -> int | None:
    """Return bytes in and out of the process's network, without loopback; None if it is the host's network."""
    with suppress(OSError):  # only root can read which network it is; everybody can read the counters
        if Path(f"{proc}/{pid}/ns/net").readlink() == Path(f"{proc}/1/ns/net").readlink():
            return None
    content = _read(f"{proc}/{pid}/net/dev")
    if content is None:
        return None
    total = 0
    for line in content.splitlines()[2:]:
        name, _, numbers = line.partition(b":")
        fields = numbers.split()
        if name.strip() != b"lo" and len(fields) > 8:
            total += int(fields[0]) + int(fields[8])
    return total


def _cgroup_directories(membership: str, cgroups: Path | str) -> dict[str, str]:
    """Return the process's cgroup directory for each controller; for version 2 the key is empty."""
    directories: dict[str, str] = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        for name, mount in _mounts(controllers, cgroups):
            directories[name] = mount + path
    return directories


@lru_cache(maxsize=100)
def _mounts(controllers: str, cgroups: Path | str) -> tuple[tuple[str, str], ...]:
    """Return where each of the controllers of one hierarchy is mounted."""
    names = controllers.split(",")
    if len(names) > 1 and not Path(f"{cgroups}/{names[0]}").exists():
        # Controllers that are mounted together share a directory; links with single names may be missing.
        return tuple((name, f"{cgroups}/{controllers}") for name in names)
    return tuple((name, f"{cgroups}/{name}" if name else f"{cgroups}") for name in names)


def _usage_v2(directory: str, memory: int | None, network: int | None, pid: int) -> ContainerUsage:
    cpu = _table_value(_read(f"{directory}/cpu.stat"), b"usage_usec")
    read, written = _disk_v2(_read(f"{directory}/io.stat"))
    return ContainerUsage(
        cpu_nanoseconds=None if cpu is None else cpu * 1000,
        memory_bytes=_without_cache(memory, directory, b"inactive_file"),
        memory_limit_bytes=_read_number(f"{directory}/memory.max"),
        pids=_read_number(f"{directory}/pids.current"),
        network_bytes=network,
        pid=pid,
        io_read_bytes=read,
        io_write_bytes=written,
    )


def _usage_v1(directories: dict[str, str], network: int | None, pid: int) -> ContainerUsage:
    missing = "/nonexistent"
    memory = directories.get("memory", missing)
    limit = _read_number(f"{memory}/memory.limit_in_bytes")
    read, written = _disk_v1(directories.get("blkio", missing))
    return ContainerUsage(
        cpu_nanoseconds=_read_number(f"{directories.get('cpuacct', missing)}/cpuacct.usage"),
        memory_bytes=_without_cache(_read_number(f"{memory}/memory.usage_in_bytes"), memory, b"total_inactive_file"),
        memory_limit_bytes=None if limit is None or limit > _UNLIMITED else limit,
        pids=_read_number(f"{directories.get('pids', missing)}/pids.current"),
        network_bytes=network,
        pid=pid,
        io_read_bytes=read,
        io_write_bytes=written,
    )


def _disk_v2(content: bytes | None) -> tuple[int | None, int | None]:
    """Return bytes read and written, from lines `8:0 rbytes=1 wbytes=2 …` per disk; without any I/O there are none.

    The kernel counts a request once, even if its disk is made of others.
    """
    if content is None:
        return None, None
    sums = {b"rbytes": 0, b"wbytes": 0}
    for field in content.split():
        key, _, value = field.partition(b"=")
        if key in sums and value.isdigit():
            sums[key] += int(value)
    return sums[b"rbytes"], sums[b"wbytes"]


def _disk_v1(directory: str) -> tuple[int | None, int | None]:
    """Return bytes read and written, from lines `8:0 Read 1` per disk. Delayed writes are nobody's, and not counted."""
    content = _read(f"{directory}/blkio.throttle.io_service_bytes_recursive")
    if content is None:  # before Linux 4.20
        content = _read(f"{directory}/blkio.throttle.io_service_bytes")
    if content is None:
        return None, None
    sums = {b"Read": 0, b"Write": 0}
    for line in content.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in sums and fields[2].isdigit():
            sums[fields[1]] += int(fields[2])
    return sums[b"Read"], sums[b"Write"]


def _without_cache(used: int | None, directory: str, key: bytes) -> int | None:
    # As in `docker stats`: page cache that can be dropped at once does not count.
    if used is None:
        return None
    return max(0, used - (_table_value(_read(f"{directory}/memory.stat"), key) or 0))


def _read_number(path: str) -> int | None:
    content = _read(path)
    try:
        return None if content is None else int(content)
    except ValueError:  # "max"
        return None


def _table_value(content: bytes | None, key: bytes) -> int | None:
    """Return the number in the line `key number`; None without it."""
    content = b"\n" + (content or b"")
    _, found, rest = content.partition(b"\n" + key + b" ")
    number = rest.partition(b"\n")[0].strip()
    return int(number) if found and number.isdigit() else None


def _read(path: str) -> bytes | None:
    """Return a file of the kernel's; None if it cannot be read. Without Python's file objects, which take longer."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = part = os.read(descriptor, _BUFFER)
        while len(part) == _BUFFER:
            part = os.read(descriptor, _BUFFER)
            content += part
        return content
    except OSError:  # the container has just ended
        return None
    finally:
        os.close(descriptor)
