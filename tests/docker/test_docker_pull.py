"""Fetching images from a registry of this test's own, which serves one small image, slowly if asked to."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import secrets
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ds01.engines.docker import DockerEngine
from ds01.errors import EngineAbsent, EngineRejected

pytestmark = pytest.mark.docker

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry(ThreadingHTTPServer):
    """Serves `small:1`; the layer of `slow:1` comes when `go_on` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.go_on = threading.Event()
        self.asked_for_layer = threading.Event()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            # A name of its own: Docker does not fetch a layer that it has, from another run of this test.
            tar.addfile(tarfile.TarInfo(secrets.token_hex(8)))
        layer = gzip.compress(buffer.getvalue())
        diff = {"type": "layers", "diff_ids": [digest(buffer.getvalue())]}
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "config": {"Env": ["A=b"]}, "rootfs": diff}
        ).encode()
        self.layer = digest(layer)
        self.blobs = {self.layer: layer, digest(config): config}
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": blob("application/vnd.docker.container.image.v1+json", config),
                "layers": [blob("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
            }
        ).encode()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_GET(self) -> None:
        name, _, last = self.path.removeprefix("/v2/").rpartition("/")
        if self.path == "/v2/":
            self.answer(200, b"{}")
        elif name in ("small/manifests", "slow/manifests"):
            self.answer(200, self.server.manifest, MANIFEST)
        elif name.endswith("/blobs") and last in self.server.blobs:
            if last == self.server.layer:
                self.server.asked_for_layer.set()
                if name.startswith("slow"):
                    self.server.go_on.wait(60)
            self.answer(200, self.server.blobs[last])
        elif name.startswith("private"):
            self.answer(401, json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "log in"}]}).encode())
        else:
            self.answer(404, json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}).encode())

    do_HEAD = do_GET

    def answer(self, status: int, content: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", digest(content))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Not to the terminal."""


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def blob(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(content), "digest": digest(content)}


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


def test_an_image_is_fetched_with_its_progress(docker_engine: DockerEngine, registry: Registry) -> None:
    reference = f"{registry.address}/small:1"
    try:
        steps = list(docker_engine.pull(reference))
        assert any(step.text.startswith("Pulling from small") for step in steps)
        assert any(step.total for step in steps) and reference in steps[-1].text
        image = docker_engine.image(reference)
        assert image is not None and image.environment == {"A": "b"} and reference in image.tags
    finally:
        docker_engine.untag(reference)
    assert docker_engine.image(reference) is None


@pytest.mark.parametrize("name", ["small2:1", "private:1"])
def test_what_the_registry_does_not_give_is_absent(docker_engine: DockerEngine, registry: Registry, name: str) -> None:
    with pytest.raises(EngineAbsent) as caught:
        list(docker_engine.pull(f"{registry.address}/{name}"))
    assert caught.value.why and caught.value.hint and name in caught.value.message


def test_a_registry_that_is_not_there_is_a_matter_of_the_network(docker_engine: DockerEngine) -> None:
    with pytest.raises(EngineRejected) as caught:
        list(docker_engine.pull("127.0.0.1:1/small:1"))
    assert caught.value.data == {"problem": "network"} and caught.value.hint


def test_closing_the_iterator_cancels(docker_engine: DockerEngine, registry: Registry) -> None:
    reference = f"{registry.address}/slow:1"
    steps = docker_engine.pull(reference)
    next(steps)
    assert registry.asked_for_layer.wait(10)
    steps.close()  # type: ignore[attr-defined]
    registry.go_on.set()
    assert docker_engine.image(reference) is None
