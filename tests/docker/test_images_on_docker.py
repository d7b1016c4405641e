"""An image of one's own, from nothing to an update, with packages from the network, on a real Docker."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.server import ALICE_UID, BOB_UID, Server

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users, which only root can"),
    pytest.mark.timeout(900),  # the first may have to make the image of the host; then pip and apt, several times
]

HOST_IMAGE = Path(__file__).parents[2] / "packaging" / "host-image"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PLAIN = ("--no-jupyter", "--base-packages", "none")
LONG = 300.0  # seconds; pip and apt fetch from the network
# Prints the version of each package that is asked for, or nothing for one that is not there.
VERSIONS = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


@pytest.fixture(scope="module")
def python_base(dockerd: Any) -> Iterator[str]:
    """A Debian with Python, pip and apt, that trusts whom this machine trusts: a network may look into TLS."""
    ended = subprocess.run([HOST_IMAGE], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert ended.returncode == 0, ended.stderr
    name = f"ds01-test/python-{secrets.token_hex(4)}:latest"
    dockerfile = f"FROM {ended.stdout.strip()}\nENV PIP_CERT={CERTIFICATES}\n"
    files = {"Dockerfile": b""}
    if CERTIFICATES.exists():
        dockerfile += f"COPY certificates {CERTIFICATES}\n"
        files["certificates"] = CERTIFICATES.read_bytes()
    files["Dockerfile"] = dockerfile.encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    context.seek(0)
    said = [json.loads(line) for line in dockerd.build(fileobj=context, custom_context=True, tag=name, rm=True)]
    assert not any("error" in line for line in said), said
    yield name
    dockerd.remove_image(name)


@pytest.fixture
def own(server: Server, python_base: str, dockerd: Any) -> Iterator[Server]:
    """The server, whose policy leaves room for pip. What images were made go."""
    policy = server.state / "policy.yaml"
    policy.write_text(policy.read_text().replace("memory: 96m", "memory: 1g"))
    server.image = python_base
    yield server
    server.clean_up()
    for image in dockerd.images():
        for tag in image["RepoTags"] or ():
            if any(tag.startswith(f"ds01-{ALICE_UID}/{name}") for name in server.names):
                dockerd.remove_image(tag, noprune=False)


def inside(server: Server, name: str, *packages: str) -> dict[str, str]:
    """The versions that a running container has."""
    ended = server.types(ALICE_UID, "container-run", name, "--", "python3", "-c", VERSIONS, *packages)
    versions: dict[str, str] = json.loads(ended.stdout)
    return versions


def test_image_update_adds_a_package(own: Server) -> None:
    name = own.name()
    wanted = "idna>=3.4,<3.7 'click[none-such]==8.1.7;python_version>\"3\"'"
    answer = own.answers(
        ALICE_UID, "image-create", name, "--base-image", own.image, *PLAIN, "--packages", wanted, "--system", "tree",
        timeout=LONG,
    )  # fmt: skip
    assert answer["image"]["reference"] == f"ds01-{ALICE_UID}/{name}"
    container = own.answers(ALICE_UID, "container-deploy", name, "--background")["container"]
    assert container["image"] == f"ds01-{ALICE_UID}/{name}"
    before = inside(own, name, "idna", "click")
    assert before == {"idna": "3.6", "click": "8.1.7"}
    own.types(ALICE_UID, "container-run", name, "--", "sh", "-c", "tree --version && touch /workspace/kept /tmp/lost")

    # A package that is nowhere leaves image, Dockerfile and container as they were.
    source = own.root / "alice" / "dockerfiles"
    texts = {path.name: path.read_text() for path in source.iterdir() if path.suffix != ".log"}
    image = own.docker.inspect_image(f"ds01-{ALICE_UID}/{name}")["Id"]
    failed = own.types(
        ALICE_UID, "image-update", name, "--add", "no-such-package-of-ds01==1", "--recreate", code=1, timeout=LONG
    )
    assert "no-such-package-of-ds01" in failed.stderr and "Traceback" not in failed.stderr
    assert {path.name: path.read_text() for path in source.iterdir() if path.suffix != ".log"} == texts
    assert "no-such-package-of-ds01" in (source / f"{name}.build.log").read_text()
    assert own.docker.inspect_image(f"ds01-{ALICE_UID}/{name}")["Id"] == image
    assert own.answers(ALICE_UID, "container-list")["containers"][0]["docker_id"] == container["docker_id"]

    # One that there is comes into the image, and with --recreate into the container, on the same GPU.
    own.types(ALICE_UID, "image-update", name, "--add", "iniconfig==2.0.0", "--recreate", timeout=LONG)
    assert inside(own, name, "idna", "click", "iniconfig") == before | {"iniconfig": "2.0.0"}
    again = own.answers(ALICE_UID, "container-list")["containers"][0]
    assert again["docker_id"] != container["docker_id"]
    assert (again["state"], again["gpus"]) == ("running", container["gpus"])
    there = own.types(ALICE_UID, "container-run", name, "--", "ls", "/workspace", "/tmp").stdout
    assert "kept" in there and "lost" not in there

    # It is in use, and nobody else's.
    assert name in own.types(ALICE_UID, "image-delete", name, code=6).stderr
    own.types(BOB_UID, "image-delete", name, code=5)
    own.types(ALICE_UID, "container-retire", name, "--force")
    own.types(ALICE_UID, "image-delete", name)
    assert own.answers(ALICE_UID, "image-list")["images"] == []
    assert (source / f"{name}.Dockerfile").exists()


def test_a_requirements_file_and_what_the_base_has_already(own: Server) -> None:
    name = own.name()
    (own.root / "alice" / "wanted.txt").write_text("# mine\niniconfig>=2,<3 ; python_version > '3'\n-r more.txt\n")
    (own.root / "alice" / "more.txt").write_text("pip>=20  # it has that\n")
    own.types(
        ALICE_UID, "image-create", name, "--base-image", own.image, *PLAIN, "--requirements",
        str(own.root / "alice" / "wanted.txt"), timeout=LONG,
    )  # fmt: skip
    own.types(ALICE_UID, "container-deploy", name, "--background")
    versions = inside(own, name, "iniconfig", "pip")
    assert versions["iniconfig"].startswith("2.")
    log = (own.root / "alice" / "dockerfiles" / f"{name}.build.log").read_text()
    assert "already satisfied: pip" in log  # the base's own stayed
