"""A server with ds01 on a real Docker, and whole programs typed by its people."""

from __future__ import annotations

import grp
import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

ALICE_UID, BOB_UID = 1001, 1002
POLICY = """\
defaults:
  max_mig_instances: 1
  max_cpus: 1.5
  memory: 96m
  shm_size: 24m
  pids_limit: 77
  max_containers_per_user: 9
  ulimits: {memlock: null, stack: 64m, nofile: 4096}
ports: [8888]
policies: {stop_grace: 20s}
"""


class Server:
    """A server with ds01 and Docker: its state folder, its people, and whoever types."""

    def __init__(self, root: Path, program: Path, image: str, client: Any) -> None:
        self.program = program
        self.image = image
        self.docker = client
        self.state = root / "state"
        self.state.mkdir(parents=True)
        self.group = _socket_group()
        os.chown(self.state, 0, self.group)
        self.state.chmod(0o2775)
        people = []
        for login, uid in (("alice", ALICE_UID), ("bob", BOB_UID)):
            home = root / login
            home.mkdir()
            os.chown(home, uid, uid)
            people.append(f"{login}:x:{uid}:{uid}::{home}:/bin/sh")
        (self.state / "passwd").write_text("\n".join(people) + "\n")
        (self.state / "policy.yaml").write_text(POLICY)
        self.root = root
        self.environment = {
            "PATH": os.environ["PATH"],
            "DS01_STATE": str(self.state),
            "DS01_CONFIG": str(self.state / "policy.yaml"),
            "DS01_GPUS": "simulated:1xA100,1xA100:2x2g.10gb",
        }
        self.names: list[str] = []

    def name(self) -> str:
        """A name that no other run of these tests has."""
        self.names.append(f"t-{secrets.token_hex(4)}")
        return self.names[-1]

    def types(
        self, uid: int, *words: str, code: int | None = 0, timeout: float = 60, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """What comes of a command line that `uid` types; nobody can answer a question."""
        result = subprocess.run(
            [str(self.program), *words], user=uid, group=uid, extra_groups=[self.group], env=self.environment,
            text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, **more,
        )  # fmt: skip
        assert code is None or result.returncode == code, result.stdout + result.stderr
        return result

    def answers(self, uid: int, *words: str, code: int = 0, timeout: float = 60) -> Any:
        """The JSON document of a command."""
        return json.loads(self.types(uid, *words, "--json", code=code, timeout=timeout).stdout)

    def deploy(self, uid: int, *options: str) -> dict[str, Any]:
        """A container that runs."""
        words = ("container", "deploy", self.name(), "--image", self.image, "--background", *options)
        container: dict[str, Any] = self.answers(uid, *words)["container"]
        return container

    def inspect(self, container: dict[str, Any]) -> Any:
        """What Docker says of a container."""
        return self.docker.inspect_container(container["docker_id"])

    def clean_up(self) -> None:
        """Remove what was made, by its label."""
        installation = (self.state / "installation").read_text().strip() if self.names else "none"
        label = f"ds01.installation={installation}"
        for found in self.docker.containers(all=True, filters={"label": label}):
            self.docker.remove_container(found["Id"], force=True)
            if found["Image"].startswith("ds01-test/") and "._." in found["Image"]:
                self.docker.remove_image(found["Image"], noprune=True)


def _socket_group() -> int:
    gid = Path("/var/run/docker.sock").stat().st_gid
    return gid if gid else grp.getgrnam("docker").gr_gid
