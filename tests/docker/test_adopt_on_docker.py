"""Containers made by hand as AIME's tools make them, on a real Docker: listed, adopted, stopped, removed."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from ds01.engines.docker.engine import DockerEngine
from ds01.engines.protocol import UpdateSpec
from tests import aime_containers
from tests.docker.test_docker_engine import HOOK
from tests.harness import GPUS, POLICY, Harness
from tests.terminal.conftest import Typist

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="acts for others in a state folder of its own, as root"),
]

TOP = Path(__file__).resolve().parents[2]
ALICE_UID = 1001
LIMITS = "max_cpus: 1.5, memory: 96m, pids_limit: 77"


class Theirs:
    """A server with ds01, on which AIME's tools made a container for alice, and she types."""

    def __init__(self, root: Path, image: str, client: Any) -> None:
        self.name = f"t-{secrets.token_hex(4)}.A"  # AIME's tools allow capitals and dots
        self.full = f"{self.name}._.{ALICE_UID}"
        self.docker = client
        self.base = image.partition(":")[0]
        self.image = f"{self.base}:{self.full}"
        policy = POLICY.replace("defaults: {", f"defaults: {{{LIMITS}, ")
        self.harness = Harness(root / "bed", people={"alice": ALICE_UID, "root": 0}, policy=policy)
        client.tag(image, self.base, self.full)
        self.environment = {
            "PATH": os.environ["PATH"],
            "DS01_STATE": str(self.harness.state),
            "DS01_CONFIG": str(self.harness.root / "resource-limits.yaml"),
            "DS01_GPUS": f"simulated:{GPUS}",
        }

    def make(self, *slots: str, **host: Any) -> str:
        """As `mlc-create` of AIME's does; its id. `slots`: GPUs that it has by a device request."""
        uuids = [self.harness.uuid[slot] for slot in slots]
        requests = [{"Driver": "", "Count": 0, "DeviceIDs": uuids, "Capabilities": [["gpu"]]}] if uuids else []
        body = {
            "Image": self.image,
            "Entrypoint": [],
            "Cmd": ["sh", "-c", "sh"],
            "User": f"{ALICE_UID}:{ALICE_UID}",
            "WorkingDir": "/workspace",
            "Tty": True,
            "OpenStdin": True,
            "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
            "Labels": aime_containers.labels("alice", self.name),
            "HostConfig": {
                "Binds": [f"{self.harness.home('alice')}/workspace:/workspace"],
                "NetworkMode": "none",
                "IpcMode": "private",
                "DeviceRequests": requests,
                **host,
            },
        }
        made: str = self.docker.create_container_from_config(body, name=self.full)["Id"]
        return made

    def types(self, *words: str, code: int = 0) -> str:
        """What comes of a command line, without a terminal."""
        whose = () if words[0] == "gpu" else ("--user", "alice")
        place = words.index("--") if "--" in words else len(words)
        line = [*words[:place], *whose, *words[place:]]
        done = subprocess.run(
            [sys.executable, "-m", "ds01.main", *line], env=self.environment, cwd=TOP, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done
        return done.stdout

    def answers(self, *words: str) -> Any:
        return json.loads(self.types(*words, "--json"))

    def host_config(self) -> Any:
        return self.docker.inspect_container(self.full)["HostConfig"]

    def clean_up(self) -> None:
        with suppress(docker.errors.NotFound):
            self.docker.remove_container(self.full, force=True)
        with suppress(docker.errors.NotFound):
            self.docker.remove_image(self.image, noprune=True)


@pytest.fixture
def theirs(tmp_path: Path, busybox_image: str, dockerd: Any) -> Iterator[Theirs]:
    made = Theirs(tmp_path, busybox_image, dockerd)
    yield made
    made.clean_up()


def test_listed_adopted_stopped_removed(theirs: Theirs, docker_engine: DockerEngine) -> None:
    made = theirs.make("1:1", Privileged=True) if HOOK else theirs.make(Privileged=True)
    theirs.docker.start(made)
    assert f"[{theirs.name}]" in theirs.types("mlc-list")
    assert f"({theirs.name})" in theirs.types("container-list")

    view = theirs.answers("container-adopt", theirs.name)["container"]
    assert (view["state"], view["docker_id"]) == ("running", made)
    if HOOK:
        assert [slot["slot"] for slot in view["gpus"]] == ["1:1"]
    host = theirs.host_config()
    assert (host["CpuQuota"], host["CpuPeriod"], host["Memory"]) == (150_000, 100_000, 96 << 20)
    assert (host["PidsLimit"], host["RestartPolicy"]["Name"]) == (77, "no")
    assert docker_engine.usage(made).memory_limit_bytes == 96 << 20

    assert theirs.name in theirs.types("container-stats")
    theirs.types("container-run", theirs.name, "--", "true")
    theirs.types("mlc-stop", theirs.name, "-Y")
    assert not theirs.docker.inspect_container(made)["State"]["Running"]
    theirs.types("mlc-remove", theirs.name, "-Y")
    with pytest.raises(docker.errors.NotFound):
        theirs.docker.inspect_container(made)
    assert docker_engine.image(theirs.image) is None, "the image that was made for it goes with it"
    assert theirs.answers("container-list") == {"containers": []}


def test_one_that_does_not_run_is_adopted_by_its_start(theirs: Theirs) -> None:
    theirs.make(RestartPolicy={"Name": "always"})
    assert "Adopted" in theirs.types("mlc-start", theirs.name)
    state = theirs.docker.inspect_container(theirs.full)["State"]
    assert state["Running"]
    assert theirs.host_config()["RestartPolicy"]["Name"] == "no"
    theirs.types("container-retire", theirs.name)


@pytest.mark.skipif(HOOK is None, reason="dockerd has no nvidia-container-runtime-hook on its PATH")
def test_until_it_is_adopted_its_gpus_are_in_use_from_outside(theirs: Theirs) -> None:
    theirs.docker.start(theirs.make("0", "1:0", Privileged=True))
    states = {slot["slot"]: slot["state"] for slot in theirs.answers("gpu", "status")["slots"]}
    assert states == {"0": "busy_outside", "1:0": "busy_outside", "1:1": "free", "1:2": "free"}


def test_limits_that_were_given_by_hand_before_are_changed_too(theirs: Theirs, docker_engine: DockerEngine) -> None:
    made = theirs.make(NanoCpus=500_000_000, Memory=32 << 20, MemorySwap=32 << 20)
    docker_engine.update(made, UpdateSpec(100_000, 100_000, 64 << 20, 64 << 20, 50))
    host = theirs.host_config()
    assert (host["NanoCpus"], host["Memory"], host["PidsLimit"]) == (1_000_000_000, 64 << 20, 50)


def test_leaving_ends_it_when_only_its_first_process_is_left(theirs: Theirs) -> None:
    theirs.make()
    command = [sys.executable, "-m", "ds01.main", "mlc-open", theirs.name, "--user", "alice"]
    first, second = (Typist(command, theirs.environment | {"TERM": "xterm"}) for _ in range(2))
    try:
        first.type("echo it is $((6*7))\r")
        first.expect("it is 42")
        second.type("echo it is $((6*7))\r")
        second.expect("it is 42")
        first.type("exit\r")
        first.expect("is still running: 1 process left")  # the other's shell, idle as it is
        assert first.end() == 0
        second.type("exit\r")
        second.expect(f"Stopped {theirs.name}.")
        assert second.end() == 0
    finally:
        first.close()
        second.close()
    assert not theirs.docker.inspect_container(theirs.full)["State"]["Running"]
