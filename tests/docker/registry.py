"""A registry for tests, which serves one small image."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import secrets
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


USER, PASSWORD = "alice", "secret"
_BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


class Registry(ThreadingHTTPServer):
    """Serves `small:1`; the layer of `slow:1` comes when `go_on` is set; `locked:1` is for USER with PASSWORD."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.locked = False  # whether it asks who comes, as it must for a client to say so
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
        if self.path == "/v2/" and self.server.locked and self.headers.get("Authorization") != _BASIC:
            self.answer(401, b"{}")
        elif self.path == "/v2/":
            self.answer(200, b"{}")
        elif name.startswith("locked") and self.headers.get("Authorization") != _BASIC:
            self.answer(401, b"{}")
        elif name in ("small/manifests", "slow/manifests", "locked/manifests"):
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
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
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
