"""Engines for the contract tests: the simulated one, and a real Docker with images made from a static busybox.

Everything made in Docker has a name of this run and is removed by its id; nothing is ever pruned.
"""

from __future__ import annotations

import io
import secrets
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from ds01.engines.docker.engine import DockerEngine
from ds01.engines.protocol import ContainerSpec, Engine
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import Ds01Error, EngineUnreachable
from tests.build_contexts import BUILD_LABEL, RUN
from tests.docker.registry import Registry
from tests.docker.server import Server

SOCKET = "/var/run/docker.sock"
BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh", "cat", "echo", "env", "head", "id", "kill", "ls", "ps", "sleep", "stty", "touch", "true", "whoami", "yes",
)  # fmt: skip
PATH = "/usr/local/bin:/usr/bin:/bin"

Make = Callable[..., str]


@pytest.fixture(scope="session")
def docker_engine() -> DockerEngine:
    engine = DockerEngine(SOCKET)
    try:
        engine.info()
    except EngineUnreachable as error:
        pytest.skip(f"no Docker: {error.message} ({error.why})")
    return engine


@pytest.fixture(scope="session")
def dockerd(docker_engine: DockerEngine) -> Iterator[Any]:
    """The SDK's own client, for what ds01 never does."""
    client = docker.APIClient(base_url=f"unix://{SOCKET}", version="auto")
    yield client
    client.close()


@pytest.fixture(scope="session")
def busybox_image(dockerd: Any) -> Iterator[str]:
    """An image with a shell, without bash, without /etc/passwd; it has an entrypoint, labels and asks for all GPUs."""
    changes = [
        f"ENV PATH={PATH}",
        "ENV NVIDIA_VISIBLE_DEVICES=all",
        'LABEL ds01.managed=image inherited="a, b"',
        'ENTRYPOINT ["/bin/false"]',
    ]
    yield from imported(dockerd, "busybox", busybox_root(), changes)


@pytest.fixture(scope="session")
def users_image(dockerd: Any) -> Iterator[str]:
    """An image with a bash, and with a user and a group that have the number 1001 under another name."""
    files = {
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nubuntu:x:1001:1001::/home/ubuntu:/bin/sh\n",
        "etc/group": b"root:x:0:\nsudo:x:27:\nvideo:x:44:\nubuntu:x:1001:\n",
    }
    yield from imported(dockerd, "users", busybox_root(files, bash=True), [f"ENV PATH={PATH}"])


@pytest.fixture(params=["simulated", pytest.param("docker", marks=pytest.mark.docker)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "docker":
        engine: Engine = request.getfixturevalue("docker_engine")
        return engine
    return SimulatedEngine(tmp_path / "simulated-engine.json", clock=lambda: datetime.now(timezone.utc))


@pytest.fixture
def image(engine: Engine, request: pytest.FixtureRequest) -> str:
    if isinstance(engine, DockerEngine):
        reference: str = request.getfixturevalue("busybox_image")
        return reference
    return "labelled/cuda:latest"


@pytest.fixture
def new_name() -> Callable[[], str]:
    return lambda: f"ds01-test-{RUN}-{secrets.token_hex(3)}._.1001"


@pytest.fixture
def make_spec(image: str, new_name: Callable[[], str]) -> Callable[..., ContainerSpec]:
    def make(**changes: Any) -> ContainerSpec:
        fields: dict[str, Any] = {
            "name": new_name(),
            "image": image,
            "command": ("sh",),
            "uid": 1001,
            "gid": 1001,
            "labels": {"ds01-test": RUN},
            "environment": {"NVIDIA_VISIBLE_DEVICES": "void"},
        }
        return ContainerSpec(**{**fields, **changes})

    return make


@pytest.fixture
def make(engine: Engine, make_spec: Callable[..., ContainerSpec], request: pytest.FixtureRequest) -> Iterator[Make]:
    """Creates a container and gives its id; it is gone after the test."""
    made: list[str] = []

    def create(*, start: bool = False, **changes: Any) -> str:
        made.append(engine.create(make_spec(**changes)).id)
        if start:
            engine.start(made[-1])
        return made[-1]

    yield create
    if isinstance(engine, DockerEngine):
        client = request.getfixturevalue("dockerd")
        for container in made:
            with suppress(docker.errors.NotFound):
                client.remove_container(container, force=True)


@pytest.fixture
def reference(engine: Engine, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for an image that a test builds; it is gone after the test."""
    name = f"ds01-test/built-{secrets.token_hex(4)}:latest"
    if isinstance(engine, DockerEngine):
        request.getfixturevalue("built_images")
    yield name
    with suppress(Ds01Error):
        engine.remove_image(name)


@pytest.fixture(scope="session")
def built_images(dockerd: Any, busybox_image: str) -> Iterator[None]:
    """At the end what goes is whatever builds of this run left: containers, and images without a name, newest first."""
    yield
    for entry in dockerd.containers(filters={"label": BUILD_LABEL}, all=True):
        with suppress(docker.errors.APIError):
            dockerd.remove_container(entry["Id"], force=True)
    for entry in dockerd.images(filters={"label": BUILD_LABEL}, all=True):
        with suppress(docker.errors.APIError):
            dockerd.remove_image(entry["Id"])


@pytest.fixture
def make_foreign(dockerd: Any, busybox_image: str, new_name: Callable[[], str]) -> Iterator[Make]:
    """Creates a container as somebody else would; gives its id."""
    made: list[str] = []

    def create(host: dict[str, Any] | None = None, **config: Any) -> str:
        body = {"Image": busybox_image, "Cmd": ["sh"], "Env": ["NVIDIA_VISIBLE_DEVICES=void"], **config}
        answer = dockerd.create_container_from_config({**body, "HostConfig": host or {}}, name=new_name())
        made.append(answer["Id"])
        return made[-1]

    yield create
    for container in made:
        with suppress(docker.errors.NotFound):
            dockerd.remove_container(container, force=True)


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


def imported(client: Any, name: str, root: bytes, changes: list[str]) -> Iterator[str]:
    """Import an image from an archive of its files, for as long as the generator lives."""
    repository = f"ds01-test/{name}"
    client.import_image_from_data(root, repository=repository, tag=RUN, changes=changes)
    yield f"{repository}:{RUN}"
    with suppress(docker.errors.APIError):
        client.remove_image(f"{repository}:{RUN}", noprune=True)


def tar_of(files: dict[str, bytes]) -> bytes:
    """An archive of files that everybody may execute."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add_files(tar, files)
    return buffer.getvalue()


def _add_files(tar: tarfile.TarFile, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))


def busybox_root(files: dict[str, bytes] | None = None, *, bash: bool = False) -> bytes:
    """An archive of a root directory with busybox and more files; `bash`: with a script in the place of bash."""
    if not BUSYBOX.exists():
        pytest.skip("no static busybox to make images from (package busybox-static)")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        tar.add(BUSYBOX.resolve(), "bin/busybox")
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        bash_script = {"bin/bash": b'#!/bin/sh\nexec /bin/sh "$@"\n'} if bash else {}
        _add_files(tar, {**bash_script, **(files or {})})
    return buffer.getvalue()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="ds01-docker-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def server(open_folder: Path, program: Path, busybox_image: str, dockerd: Any) -> Iterator[Server]:
    server = Server(open_folder / "server", program, busybox_image, dockerd)
    yield server
    server.clean_up()
