"""Facts about images: gathered from the first container of an image, on both engines; deploys on a real Docker."""

from __future__ import annotations

import io
import os
import secrets
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from ds01.engines.docker.engine import DockerEngine
from ds01.engines.protocol import Engine
from ds01.errors import PermissionDenied
from ds01.lifecycle.spec.image_lookup import facts_of, remember
from ds01.records.image_facts import NONE_CLOSED, ImageFacts
from ds01.records.store.known_images import KnownImages
from tests.client import Client
from tests.docker.conftest import Make, busybox_root, imported, tar_of
from tests.fault_injection import CHANGING_CALLS, READING_CALLS, FaultyEngine, StepCounter
from tests.harness import Harness

POLICY = """\
defaults: {max_containers_per_user: null, max_cpus: 1, memory: 64m, ulimits: {memlock: null, stack: null}}
ports: []
"""
BASH_PASSWD = b"root:x:0:0:root:/root:/bin/bash\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives directories to others, which only root can")


def test_the_facts_about_an_image_are_asked_once(engine: Engine, make: Make, image: str, tmp_path: Path) -> None:
    known, local = KnownImages(tmp_path / "facts", folder_mode=0o755, file_mode=0o644), engine.image(image)
    containers = [engine.inspect(make()) for _ in range(2)]
    first, second = (container for container in containers if container is not None)
    assert local is not None and first.image_id == second.image_id == local.id
    facts, are_new = facts_of(engine, known, first, local)
    assert are_new and facts.shell in ("/bin/sh", "/bin/bash") and facts.closed == NONE_CLOSED
    remember(known, first, local, facts)
    silent: Any = FaultyEngine(engine, StepCounter(0, lambda: pytest.fail("asked again")))
    assert facts_of(silent, known, second, local) == (facts, False)


@pytest.mark.docker
def test_the_facts_are_those_of_the_images_files(
    docker_engine: DockerEngine, make_foreign: Make, users_image: str, busybox_image: str, tmp_path: Path
) -> None:
    known = KnownImages(tmp_path / "facts", folder_mode=0o755, file_mode=0o644)
    found = []
    for image in (users_image, busybox_image):
        container, local = docker_engine.inspect(make_foreign(Image=image)), docker_engine.image(image)
        assert container is not None and local is not None
        found.append(facts_of(docker_engine, known, container, local)[0])
    users, busybox = found
    assert users.shell == "/bin/bash" and "ubuntu:x:1001:1001" in (users.passwd or "")
    assert users.group is not None and "video:x:44:" in users.group
    assert busybox == ImageFacts("/bin/sh", None, None, NONE_CLOSED)


# Deploys on Docker.


@pytest.fixture(scope="module")
def usual_image(dockerd: Any) -> Iterator[str]:
    """An image as most are: root uses bash, and PATH has several directories, with a Python in the first."""
    files = {"etc/passwd": BASH_PASSWD, "etc/group": b"root:x:0:\n", "opt/conda/bin/python3": b"#!/bin/sh\n"}
    path = "/opt/conda/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/bin:/usr/bin:/sbin:/bin"
    yield from imported(dockerd, "usual", busybox_root(files, bash=True), [f"ENV PATH={path}"])


@pytest.fixture(scope="module")
def copied_passwd_image(dockerd: Any) -> Iterator[str]:
    """An image with nothing but an /etc/passwd of another one."""
    yield from imported(dockerd, "copied", tar_of({"etc/passwd": BASH_PASSWD}), [])


@pytest.fixture
def bed(open_folder: Path, dockerd: Any) -> Iterator[Harness]:
    """A state directory whose containers are real ones; the GPUs are not."""
    harness = Harness(open_folder, policy=POLICY)
    yield harness
    for container in dockerd.containers(
        all=True, filters={"label": f"ds01.installation={harness.ledger.installation}"}
    ):
        with suppress(docker.errors.NotFound):
            dockerd.remove_container(container["Id"], force=True)
        with suppress(docker.errors.APIError):
            dockerd.remove_image(container["Image"], noprune=True)


def content_of(archive: bytes | None) -> bytes:
    """The content of the one file in an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive or b"")) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        return file.read() if file is not None else b""


def deploy(harness: Harness, image: str, *, start: bool = True) -> tuple[Counter[str], str]:
    """Deploy a container. Return the calls and its name in Docker."""
    steps = StepCounter(-1, lambda: None)
    engine: Any = FaultyEngine(DockerEngine(), steps, CHANGING_CALLS + READING_CALLS)
    gate = Client(harness.make_context(engine=engine, inject_devices=False))
    workspace = str(harness.home("alice") / "workspace")
    request = harness.request("alice", f"f{secrets.token_hex(4)}", 0, image=image, workspace=workspace)
    acted = gate.create(harness.actor("alice"), request, start=start, pull=True)
    return Counter(steps.names), acted.container.container


@as_root
@pytest.mark.docker
def test_a_known_image_gives_the_same_account_with_fewer_calls(
    bed: Harness, usual_image: str, docker_engine: DockerEngine
) -> None:
    (first, one), (second, other) = deploy(bed, usual_image), deploy(bed, usual_image)
    assert sum(first.values()) == 12 and sum(second.values()) == 9, (first, second)
    for path in ("/etc/passwd", "/etc/group"):
        contents = [content_of(docker_engine.get_archive(name, path)) for name in (one, other)]
        assert contents[0] == contents[1] and b"alice" in contents[0] and b"root" in contents[0]


@as_root
@pytest.mark.docker
def test_an_image_that_only_names_a_shell_is_refused_at_the_start(bed: Harness, copied_passwd_image: str) -> None:
    with pytest.raises(PermissionDenied, match="has no shell"):
        deploy(bed, copied_passwd_image)
