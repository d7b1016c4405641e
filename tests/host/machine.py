"""A whole host for tests: a container with systemd, its own dockerd, cron and people.

    host.run("container-deploy thesis --background", user="alice")      # a shell's line, as she would type it
    host.run(["ds01", "tick"], env={"DS01_NOW": "2026-12-01T08:00:00Z"}, code=1)
    host.write("/etc/ds01/resource-limits.yaml", POLICY)
    host.docker("ps", "-aq")                                             # the host's own Docker
    host.show_gpus("gpu uuid=GPU-a name=NVIDIA_A100 memory=42949672960") # tests/nvml/nvml.c describes the lines
    host.cgroup(docker_id, "memory.limit_in_bytes")

Nobody may set this host's clock: it is the machine's.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GPUS = "/var/lib/test-gpus"  # what the stand-in for NVML shows
LIBRARY = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
IMAGE = "lab/tools:latest"  # the image that the host's Docker has: a static busybox
BOOT = 90.0  # seconds; it takes 5 to 10
PEOPLE = ("alice", "bob", "carol")
DAEMON = {"exec-opts": ["native.cgroupdriver=systemd"]}
# Docker accepts requests for GPUs if there is such a program; one that does nothing leaves them out.
HOOK = "#!/bin/sh\nexit 0\n"
A100 = "gpu uuid=GPU-{0} name=NVIDIA_A100 memory=42949672960"

Done = subprocess.CompletedProcess


class Host:
    """A running host; `close` ends it and removes all that it had."""

    def __init__(self, image: str, library: Path) -> None:
        """Boot it. `library`: a folder with the stand-in for NVML that reads GPUS. Raises AssertionError."""
        options = (
            "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined", "--cgroupns=private",
            "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec", "--env=container=docker", "--hostname=gpu-server",
        )  # fmt: skip
        # As a volume /var/lib/docker is a real folder: there is no overlay on an overlay.
        rule, volume = "--device-cgroup-rule=a *:* rwm", "--volume=/var/lib/docker"
        created = _outside("create", *options, rule, volume, f"--volume={HERE}/init.sh:/init.sh:ro", image, "/init.sh")
        self.id = created.stdout.strip()
        self.shipped_policy = ""
        try:
            self._put(
                {
                    "etc/docker/daemon.json": (json.dumps(DAEMON), 0o644),
                    "usr/local/bin/nvidia-container-runtime-hook": (HOOK, 0o755),
                    LIBRARY[1:]: ((library / "libnvidia-ml.so.1").read_bytes(), 0o644),
                    GPUS[1:]: ("\n".join(map(A100.format, range(2))) + "\n", 0o644),
                }
            )
            _outside("start", self.id)
            self._wait("systemctl is-system-running | grep -Eq 'running|degraded'", "systemd has not come up")
            self._wait("docker info", "dockerd has not come up")
            for person in PEOPLE:
                self.run(f"useradd --create-home --shell /bin/bash --groups docker {person}")
            _outside("exec", "-i", self.id, "docker", "import", "-", IMAGE, content=_busybox())
            self.run("systemctl stop cron")  # a tick in the middle of a test would be a surprise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the host; its containers, images and files go with it."""
        with suppress(AssertionError):
            _outside("rm", "--force", "--volumes", self.id)

    def run(
        self,
        command: str | Sequence[str],
        *,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        code: int | None = 0,
        input: str | None = None,
        timeout: float = 120,
    ) -> Done[str]:
        """Run a command, or a line of sh, as somebody. `code`: what it has to exit with; None: whatever."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        home = "/root" if user == "root" else f"/home/{user}"
        variables = {"HOME": home, "USER": user, "LOGNAME": user, "PATH": PATH, "LANG": "C.UTF-8", **(env or {})}
        options = [f"--env={name}={value}" for name, value in variables.items()]
        done = subprocess.run(
            ["docker", "exec", "-i", "--user", user, "--workdir", home, *options, self.id, *words],
            input=input or "",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert code is None or done.returncode == code, f"{user}$ {command}: {_said(done)}"
        return done

    def answer(self, command: str, *, user: str = "root", **options: Any) -> Any:
        """What a ds01 command answers with --json."""
        return json.loads(self.run(f"{command} --json", user=user, **options).stdout)

    def docker(self, *words: str, code: int | None = 0) -> str:
        """The host's own docker, as root; what it prints."""
        return self.run(["docker", *words], code=code).stdout.strip()

    def inspect(self, container: str) -> Any:
        """What Docker says of a container."""
        return json.loads(self.docker("inspect", container))[0]

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file, and its folders, as root."""
        self.run(
            ["sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0" && chmod "$1" "$0"', path, f"{mode:o}"], input=text
        )

    def read(self, path: str) -> str:
        """The content of a file."""
        return self.run(["cat", path]).stdout

    def mode(self, path: str) -> str:
        """Mode, owner and group of a file: `2775 root docker`."""
        return self.run(["stat", "-c", "%a %U %G", path]).stdout.strip()

    def show_gpus(self, *lines: str) -> None:
        """What NVML shows from now on."""
        self.write(GPUS, "\n".join(lines) + "\n")

    @property
    def has_cgroup2(self) -> bool:
        """Whether it has one cgroup hierarchy, as newer systems do."""
        return self.run("test -e /sys/fs/cgroup/cgroup.controllers", code=None).returncode == 0

    def cgroup(self, container: str, file: str) -> str:
        """A cgroup file of a running container."""
        return self.slice_file(self.cgroup_path(container, file), file)

    def cgroup_path(self, container: str, file: str = "memory") -> str:
        """Where a running container lies, in the hierarchy that has such a file."""
        pid = self.inspect(container)["State"]["Pid"]
        for line in self.read(f"/proc/{pid}/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            if file.split(".")[0] in controllers.split(",") or (self.has_cgroup2 and not controllers):
                return path
        raise AssertionError(f"no cgroup of process {pid} has {file}")

    def slice_file(self, path: str, file: str) -> str:
        """A cgroup file of a slice or scope. `path` is its place in the hierarchy, `ds01.slice/ds01-students.slice`."""
        top = "/sys/fs/cgroup" if self.has_cgroup2 else f"/sys/fs/cgroup/{file.split('.')[0]}"
        return self.read(f"{top}/{path.strip('/')}/{file}").strip()

    def install(self, package: Path) -> None:
        """Install a package with apt, as an administrator would who keeps an edited configuration file."""
        target = f"/root/{package.name}"
        _outside("cp", str(package), f"{self.id}:{target}")
        options = "--yes --no-install-recommends -o Dpkg::Options::=--force-confold"
        self.run(f"apt-get install {options} {target}", env={"DEBIAN_FRONTEND": "noninteractive"})

    def allow_containers(self) -> None:
        """Edit the policy: without CAP_SYS_RESOURCE nobody here can raise a limit, and Docker would refuse to start."""
        self.run("sed -i 's/memlock: -1/memlock: null/' /etc/ds01/resource-limits.yaml")

    def reset(self) -> None:
        """As after the installation and `allow_containers`: two GPUs, no container, record, notice or event."""
        self.run("systemctl stop cron")
        self.run("docker ps -aq | xargs -r docker rm -f; docker images -q 'ds01-*/*' | xargs -r docker rmi -f")
        self.run("rm -rf /var/lib/ds01 /var/log/ds01 /home/*/workspace && systemd-tmpfiles --create ds01.conf")
        self.write("/etc/ds01/resource-limits.yaml", self.shipped_policy)
        self.show_gpus(*map(A100.format, range(2)))

    def _put(self, files: Mapping[str, tuple[str | bytes, int]]) -> None:
        """Write files into a host that does not run yet."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path, (text, mode) in files.items():
                content = text.encode() if isinstance(text, str) else text
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(content), mode
                tar.addfile(entry, io.BytesIO(content))
        _outside("cp", "-", f"{self.id}:/", content=buffer.getvalue())

    def _wait(self, command: str, problem: str) -> None:
        until = time.monotonic() + BOOT
        while (done := self.run(command, code=None)).returncode != 0:
            if time.monotonic() > until:
                log = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, check=False)
                raise AssertionError(f"{problem}: {_said(done)}\n{log.stdout}{log.stderr}")
            time.sleep(0.3)


def _outside(*words: str, content: bytes | None = None) -> Done[str]:
    """The docker of the machine that the tests run on."""
    done = subprocess.run(["docker", *words], input=content or b"", capture_output=True, check=False)
    said = Done(
        done.args, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
    assert done.returncode == 0, f"docker {words[0]}: {_said(said)}"
    return said


def _said(done: Done[str]) -> str:
    return f"exit code {done.returncode}\n{done.stdout}{done.stderr}"


def _busybox() -> bytes:
    """The files of an image that has busybox and nothing else."""
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
