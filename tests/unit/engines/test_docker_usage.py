from __future__ import annotations

from pathlib import Path

import pytest

from ds01.engines.docker.usage import is_in_container, read_usage
from ds01.engines.protocol import ContainerUsage

MEMORY_1 = {
    "memory.usage_in_bytes": "1000",
    "memory.limit_in_bytes": "5000",
    "memory.stat": "cache 1\ntotal_inactive_file 300\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)


def read(tmp_path: Path, lines: str) -> ContainerUsage:
    write(tmp_path / "proc/7", {"cgroup": lines})
    return again(tmp_path)


def again(tmp_path: Path) -> ContainerUsage:
    usage = read_usage(7, proc=tmp_path / "proc", cgroups=tmp_path / "cgroup")
    assert usage is not None
    return usage


def test_version_2(tmp_path: Path) -> None:
    folder = tmp_path / "cgroup/ds01.slice/docker-1.scope"
    write(
        folder,
        {
            "cpu.stat": "usage_usec 1500\nuser_usec 1\n",
            "memory.current": "1000\n",
            "memory.stat": "anon 1\ninactive_file 400\n",
            "memory.max": "max\n",
            "pids.current": "3\n",
        },
    )
    assert read(tmp_path, "0::/ds01.slice/docker-1.scope\n") == ContainerUsage(1_500_000, 600, None, 3, pid=7)
    (folder / "memory.max").write_text("4096\n")
    assert again(tmp_path).memory_limit_bytes == 4096


def test_version_1(tmp_path: Path) -> None:
    write(tmp_path / "cgroup/memory/docker/1", MEMORY_1)
    write(tmp_path / "cgroup/cpuacct/docker/1", {"cpuacct.usage": "77\n"})
    write(tmp_path / "cgroup/pids/docker/1", {"pids.current": "2\n"})
    lines = "9:memory:/docker/1\n8:cpuacct:/docker/1\n7:pids:/docker/1\n1:name=systemd:/docker/1\n0::/\n"
    assert read(tmp_path, lines) == ContainerUsage(77, 700, 5000, 2, pid=7)


def test_version_1_with_controllers_mounted_together(tmp_path: Path) -> None:
    write(tmp_path / "cgroup/cpu,cpuacct/docker/1", {"cpuacct.usage": "77\n"})
    assert read(tmp_path, "4:cpu,cpuacct:/docker/1\n").cpu_nanoseconds == 77


def test_version_1_without_a_limit(tmp_path: Path) -> None:
    write(tmp_path / "cgroup/memory/docker/1", {**MEMORY_1, "memory.limit_in_bytes": "9223372036854771712"})
    assert read(tmp_path, "9:memory:/docker/1\n").memory_limit_bytes is None


@pytest.mark.parametrize("lines", ["", "0::/gone\n", "9:memory:/gone\n"])
def test_what_cannot_be_read_is_unknown(tmp_path: Path, lines: str) -> None:
    assert read(tmp_path, lines) == ContainerUsage(None, None, None, None, pid=7)


def test_a_process_that_is_gone_is_unknown(tmp_path: Path) -> None:
    assert read_usage(1 << 22, proc=tmp_path) == ContainerUsage(None, None, None, None, pid=1 << 22)


NET = """Inter-|   Receive            |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0
  eth0: 1000 2 0 0 0 0 0 0 30 1 0 0 0 0 0 0
"""


def network(tmp_path: Path, own: str) -> int | None:
    for pid, namespace in (("1", "net:[1]"), ("7", own)):
        (tmp_path / "proc" / pid / "ns").mkdir(parents=True)
        (tmp_path / "proc" / pid / "ns" / "net").symlink_to(namespace)
    write(tmp_path / "proc/7/net", {"dev": NET})
    return again(tmp_path).network_bytes


def test_network_bytes_are_those_in_and_out_without_the_loopback(tmp_path: Path) -> None:
    assert network(tmp_path, "net:[2]") == 1030


def test_the_hosts_network_says_nothing_about_one_container(tmp_path: Path) -> None:
    assert network(tmp_path, "net:[1]") is None


def test_a_pid_counts_only_while_it_is_the_containers(tmp_path: Path) -> None:
    write(tmp_path / "7", {"cgroup": "0::/ds01.slice/docker-abc.scope\n"})
    assert is_in_container(7, "abc", proc=tmp_path)
    assert not is_in_container(7, "def", proc=tmp_path)
    assert not is_in_container(8, "abc", proc=tmp_path)


def test_bytes_from_and_to_disks_on_version_2(tmp_path: Path) -> None:
    folder = tmp_path / "cgroup/ds01.slice/docker-1.scope"
    lines = "8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=7 dios=1\n253:1 rbytes=5 wbytes=0 rios=1 wios=0\n"
    write(folder, {"memory.current": "1\n", "io.stat": lines})
    usage = read(tmp_path, "0::/ds01.slice/docker-1.scope\n")
    assert (usage.io_read_bytes, usage.io_write_bytes) == (105, 20)
    (folder / "io.stat").write_text("")
    usage = again(tmp_path)
    assert (usage.io_read_bytes, usage.io_write_bytes) == (0, 0)
    (folder / "io.stat").unlink()
    usage = again(tmp_path)
    assert (usage.io_read_bytes, usage.io_write_bytes) == (None, None)


BLKIO = "8:0 Read 100\n8:0 Write 20\n8:0 Sync 90\n8:0 Async 30\n8:0 Total 120\n8:16 Read 5\n8:16 Write 0\nTotal 125\n"


@pytest.mark.parametrize("name", ["io_service_bytes_recursive", "io_service_bytes"])
def test_bytes_from_and_to_disks_on_version_1(tmp_path: Path, name: str) -> None:
    write(tmp_path / "cgroup/blkio/docker/1", {f"blkio.throttle.{name}": BLKIO})
    usage = read(tmp_path, "5:blkio:/docker/1\n")
    assert (usage.io_read_bytes, usage.io_write_bytes) == (105, 20)


def test_a_process_of_another_container_is_not_measured(tmp_path: Path) -> None:
    write(tmp_path / "proc/7", {"cgroup": "0::/ds01.slice/docker-abc.scope\n"})
    assert read_usage(7, "abc", proc=tmp_path / "proc") is not None
    assert read_usage(7, "def", proc=tmp_path / "proc") is None
    assert read_usage(8, "abc", proc=tmp_path / "proc") is None


def test_the_network_is_read_only_if_it_is_asked_for(tmp_path: Path) -> None:
    assert network(tmp_path, "net:[2]") == 1030
    usage = read_usage(7, network=False, proc=tmp_path / "proc", cgroups=tmp_path / "cgroup")
    assert usage is not None and usage.network_bytes is None
