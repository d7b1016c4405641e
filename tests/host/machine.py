"""A whole host for tests: a container with systemd, its own dockerd, cron and people. tests/server.py says what it can.

Nobody may set this host's clock: it is the machine's.
"""

from __future__ import annotations

import subprocess
import sysconfig
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.server import (
    A100,
    IMAGE,
    CompletedRun,
    Server,
    archive,
    arguments_of,
    busybox_image,
    describe_result,
    environment_of,
    server_files,
)

HERE = Path(__file__).resolve().parent
BOOT = 90.0  # seconds; it takes 5 to 10
CHECKOUT = "/checkout"
PACKAGES = "/site-packages"
PEOPLE = ("alice", "bob", "carol")


class Host(Server):
    """A running host; `close` ends it and removes all that it had."""

    def __init__(self, image: str, library: Path) -> None:
        """Boot it. `library`: a folder with the stand-in for NVML that reads GPUS. Raises AssertionError.

        What the tests are made of is there to read: CHECKOUT, and PACKAGES with pytest.
        """
        options = (
            "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined", "--cgroupns=private",
            "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec", "--env=container=docker", "--hostname=gpu-server",
        )  # fmt: skip
        # As a volume /var/lib/docker is a real folder: there is no overlay on an overlay.
        rule, volume = "--device-cgroup-rule=a *:* rwm", "--volume=/var/lib/docker"
        files = {HERE / "init.sh": "/init.sh", HERE.parents[1]: CHECKOUT, sysconfig.get_path("purelib"): PACKAGES}
        bound = (f"--volume={source}:{target}:ro" for source, target in files.items())
        created = _outside("create", *options, rule, volume, *bound, image, "/init.sh")
        self.id = created.stdout.strip()
        self.shipped_policy = ""
        try:
            _outside("cp", "-", f"{self.id}:/", content=archive(server_files(library)))
            _outside("start", self.id)
            self._wait("systemctl is-system-running | grep -Eq 'running|degraded'", "systemd has not come up")
            self._wait("docker info", "dockerd has not come up")
            for person in PEOPLE:
                self.run(f"useradd --create-home --shell /bin/bash --groups docker {person}")
            _outside("exec", "-i", self.id, "docker", "import", "-", IMAGE, content=busybox_image())
            # A tick in the middle of a test would be a surprise, as would be logs that are rotated, or apt at work.
            self.run("systemctl stop cron '*.timer'")
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
    ) -> CompletedRun[str]:
        """Run a command, or a line of sh, as a user; see Server."""
        variables = environment_of(user, env or {})
        options = ["--workdir", variables["HOME"], *(f"--env={name}={value}" for name, value in variables.items())]
        done = subprocess.run(
            ["docker", "exec", "-i", "--user", user, *options, self.id, *arguments_of(command)],
            input=input or "",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert code is None or done.returncode == code, f"{user}$ {command}: {describe_result(done)}"
        return done

    def install(self, package: Path) -> None:
        """Install a package with apt, as an administrator would who keeps an edited configuration file."""
        target = f"/root/{package.name}"
        _outside("cp", str(package), f"{self.id}:{target}")
        self.install_package(target)

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

    def _wait(self, command: str, problem: str) -> None:
        until = time.monotonic() + BOOT
        while (done := self.run(command, code=None)).returncode != 0:
            if time.monotonic() > until:
                log = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, check=False)
                raise AssertionError(f"{problem}: {describe_result(done)}\n{log.stdout}{log.stderr}")
            time.sleep(0.3)


def _outside(*words: str, content: bytes | None = None) -> CompletedRun[str]:
    """The docker of the machine that the tests run on."""
    done = subprocess.run(["docker", *words], input=content or b"", capture_output=True, check=False)
    text = CompletedRun(
        done.args, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
    assert done.returncode == 0, f"docker {words[0]}: {describe_result(text)}"
    return text
