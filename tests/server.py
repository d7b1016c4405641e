"""A server with ds01 installed, for tests, wherever it runs.

    server.run("container-deploy thesis --background", user="alice")      # a shell's line, as she would type it
    server.run(["ds01", "tick"], env={"DS01_NOW": "2026-12-01T08:00:00Z"}, code=1)
    server.write("/etc/ds01/resource-limits.yaml", POLICY)
    server.docker("ps", "-aq")                                             # the server's Docker
    server.show_gpus("gpu uuid=GPU-a name=NVIDIA_A100 memory=42949672960") # tests/nvml/nvml.c describes the lines
    server.cgroup(docker_id, "memory.max")

tests/host has one in a container, tests/machine one in a virtual machine.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GPUS = "/var/lib/test-gpus"  # what the fake NVML shows
LIBRARY = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
IMAGE = "lab/tools:latest"  # the image that the server's Docker has: a static busybox
DAEMON = {"exec-opts": ["native.cgroupdriver=systemd"]}
# Docker accepts requests for GPUs if this program exists; one that does nothing adds no devices.
HOOK = "#!/bin/sh\nexit 0\n"
A100 = "gpu uuid=GPU-{0} name=NVIDIA_A100 memory=42949672960"

CompletedRun = subprocess.CompletedProcess


class Server(ABC):
    """A running server."""

    @abstractmethod
    def run(
        self,
        command: str | Sequence[str],
        *,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        code: int | None = 0,
        input: str | None = None,
        timeout: float = 120,
    ) -> CompletedRun[str]:
        """Run a command, or a line of sh, as a user. `code`: the expected exit code; None: any."""

    def answer(self, command: str, *, user: str = "root", **options: Any) -> Any:
        """Run a ds01 command with --json; return its document."""
        return json.loads(self.run(f"{command} --json", user=user, **options).stdout)

    def docker(self, *words: str, code: int | None = 0) -> str:
        """Run the server's docker as root; return its output."""
        return self.run(["docker", *words], code=code).stdout.strip()

    def inspect(self, container: str) -> Any:
        """Return `docker inspect` of a container."""
        return json.loads(self.docker("inspect", container))[0]

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file, and create its directories, as root."""
        self.run(
            ["sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0" && chmod "$1" "$0"', path, f"{mode:o}"], input=text
        )

    def read(self, path: str) -> str:
        """Return the content of a file."""
        return self.run(["cat", path]).stdout

    def mode(self, path: str) -> str:
        """Return mode, owner and group of a file: `2775 root docker`."""
        return self.run(["stat", "-c", "%a %U %G", path]).stdout.strip()

    def show_gpus(self, *lines: str) -> None:
        """Change what NVML shows from now on."""
        self.write(GPUS, "\n".join(lines) + "\n")

    @property
    def has_cgroup2(self) -> bool:
        """Return whether it uses cgroup v2."""
        return self.run("test -e /sys/fs/cgroup/cgroup.controllers", code=None).returncode == 0

    def cgroup(self, container: str, file: str) -> str:
        """Return a cgroup file of a running container."""
        return self.slice_file(self.cgroup_path(container, file), file)

    def cgroup_path(self, container: str, file: str = "memory") -> str:
        """Return the cgroup of a running container, in the hierarchy that has such a file."""
        pid = self.inspect(container)["State"]["Pid"]
        for line in self.read(f"/proc/{pid}/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            if file.split(".")[0] in controllers.split(",") or (self.has_cgroup2 and not controllers):
                return path
        raise AssertionError(f"no cgroup of process {pid} has {file}")

    def slice_file(self, path: str, file: str) -> str:
        """Return a cgroup file of a slice or scope. `path`: such as `ds01.slice/ds01-students.slice`."""
        top = "/sys/fs/cgroup" if self.has_cgroup2 else f"/sys/fs/cgroup/{file.split('.')[0]}"
        return self.read(f"{top}/{path.strip('/')}/{file}").strip()

    def install_package(self, path: str) -> None:
        """Install a package with apt, keeping edited configuration files."""
        options = "--yes --no-install-recommends -o Dpkg::Options::=--force-confold"
        self.run(f"apt-get install {options} {path}", env={"DEBIAN_FRONTEND": "noninteractive"})


def arguments_of(command: str | Sequence[str]) -> list[str]:
    """Return a command as a list of arguments."""
    return ["sh", "-c", command] if isinstance(command, str) else list(command)


def environment_of(user: str, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a user's command."""
    home = "/root" if user == "root" else f"/home/{user}"
    return {"HOME": home, "USER": user, "LOGNAME": user, "PATH": PATH, "LANG": "C.UTF-8", **env}


def server_files(library: Path) -> dict[str, tuple[str | bytes, int]]:
    """Return the files that must exist before Docker starts, with their modes.

    `library`: a folder with the stand-in for NVML that reads GPUS.
    """
    return {
        "etc/docker/daemon.json": (json.dumps(DAEMON), 0o644),
        "usr/local/bin/nvidia-container-runtime-hook": (HOOK, 0o755),
        LIBRARY[1:]: ((library / "libnvidia-ml.so.1").read_bytes(), 0o644),
        GPUS[1:]: ("\n".join(map(A100.format, range(2))) + "\n", 0o644),
    }


def archive(files: Mapping[str, tuple[str | bytes, int]]) -> bytes:
    """Return a tar of files, each with its mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (text, mode) in files.items():
            content = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def busybox_image() -> bytes:
    """Return the files of an image with only busybox."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "apt-get install busybox-static"
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for applet in set(applets) - {"busybox"}:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        entry = tarfile.TarInfo("tmp")
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(entry)
    return buffer.getvalue()


def describe_result(done: CompletedRun[str]) -> str:
    """Describe how a command ended, for the message of a failed test."""
    return f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
