"""What a pass of the automation asks of a real Docker: the same however many containers there are, if none changed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from ds01.engines.docker.engine import DockerEngine
from tests.client import Client
from tests.harness import Harness
from tests.tick_harness import TickHarness

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to others, which only root can"),
]

POLICY = """\
defaults: {max_containers_per_user: null, max_cpus: 1, memory: 64m, shm_size: 16m, ulimits: {memlock: null}}
ports: []
"""
PAUSE = {"minutes": 5}


class OnDocker:
    """A bed whose containers are real ones; the GPUs are not."""

    def __init__(self, root: Path, image: str) -> None:
        self.harness = Harness(root, policy=POLICY)
        self.image = image
        self.run = secrets.token_hex(3)  # names of containers are Docker's, and so everybody's
        self.context = self.harness.make_context(engine=DockerEngine(), inject_devices=False)
        self.gate = Client(self.context)
        self.ticker = TickHarness(self.harness)
        self.made = 0

    def make(self, *, start: bool) -> str:
        """One more container of alice's; its name in Docker."""
        request = self.harness.request(
            "alice", f"t{self.run}-{self.made}", 0, image=self.image,
            workspace=str(self.harness.home("alice") / "workspace"),
        )  # fmt: skip
        self.made += 1
        actor = self.harness.actor("alice")
        name = self.gate.create(actor, request).container.container
        if start:
            self.gate.start(actor, name)
        return name

    def calls(self) -> int:
        """The HTTP requests of one more pass, which has to be good and to know all that runs."""
        self.harness.clock.advance(**PAUSE)
        engine = DockerEngine()
        report = self.ticker.make_tick(engine=engine).run()
        assert report.succeeded, report
        assert report.looked_at == self.made
        return engine.calls


@pytest.fixture
def lab(fast_tmp: Path, busybox_image: str, dockerd: Any) -> Iterator[OnDocker]:
    lab = OnDocker(fast_tmp / "bed", busybox_image)
    yield lab
    label = f"ds01.installation={lab.context.ledger.installation}"
    for found in dockerd.containers(all=True, filters={"label": label}):
        dockerd.remove_container(found["Id"], force=True)
        with suppress(docker.errors.APIError):
            dockerd.remove_image(found["Image"], noprune=True)


def test_tick_makes_three_calls_and_one_per_change(lab: OnDocker) -> None:
    first = lab.make(start=True)
    lab.calls()
    # The version that both speak, `/info` for whether it is the Docker of last time, and one list.
    assert lab.calls() == 3
    started = [lab.make(start=True), lab.make(start=True)]
    for _ in range(2):
        lab.make(start=False)
    assert lab.calls() == 3 + 2, "one inspect for each that runs since the last pass"
    assert lab.calls() == 3
    for name in (first, *started):
        lab.context.engine.stop(name, grace=0)
    assert lab.calls() == 3 + 3, "one inspect for each that ended"
    assert lab.calls() == 3
