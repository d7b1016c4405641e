"""Serve the metrics over HTTP: `GET /metrics`, one gathering at a time, kept for some seconds."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET6, socket
from typing import NamedTuple

from ds01.errors import Ds01Error, UsageError

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KEPT_FOR = 5.0  # seconds; several Prometheus servers that ask at once cost one gathering
CLIENT_TIMEOUT = 10.0  # seconds for a client to send its request
LOOPBACK = "127.0.0.1"
DOWN = (
    "# HELP ds01_up 1 if Docker and the GPUs answered, else 0: what depends on them is then missing.\n"
    "# TYPE ds01_up gauge\n"
    "ds01_up 0.0\n"
)


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return ip_address(self.host).is_loopback


def parse_address(text: str) -> Address:
    """Parse `PORT` on the loopback address, `ADDRESS:PORT` or `[ADDRESS]:PORT`. Raises UsageError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") or ":" not in host else ""
    host = {"": LOOPBACK if ":" not in text else "", "localhost": LOOPBACK}.get(host, host)
    try:
        if not (port.isascii() and port.isdigit() and 0 <= int(port) <= 65535):
            raise ValueError(port)
        return Address(str(ip_address(host)), int(port))
    except ValueError:
        raise UsageError(
            f"'{text}' is not an address to listen on",
            why="it is a port, or an IP address and a port",
            hint="`--listen 127.0.0.1:9101`",
        ) from None


class MetricsCache:
    """Gathers the metrics, once for all who ask within some seconds."""

    def __init__(self, gather: Callable[[], str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gather = gather
        self._clock = clock
        self._lock = threading.Lock()
        self._text: str | None = None
        self._until = 0.0
        self._ever = False

    def get(self) -> str:
        """Return the metrics; `ds01_up 0` alone if they could be gathered earlier. Raises Ds01Error before that."""
        with self._lock:
            if self._text is None or self._clock() >= self._until:
                self._text = self._gathered()
                self._until = self._clock() + KEPT_FOR
            return self._text

    def _gathered(self) -> str:
        try:
            text = self._gather()
        except Ds01Error:
            if not self._ever:
                raise
            return DOWN
        self._ever = True
        return text


class MetricsServer(ThreadingHTTPServer):
    """Answers with the metrics of a cache."""

    daemon_threads = True

    def __init__(self, address: Address, cache: MetricsCache) -> None:
        """Listen. Raises Ds01Error if the address cannot be used."""
        if ":" in address.host:
            self.address_family = AF_INET6
        self.cache = cache
        try:
            super().__init__((address.host, address.port), _Handler)
        except OSError as error:
            raise Ds01Error(
                f"cannot listen on {address.host} port {address.port}",
                why=str(error.strerror),
                hint="another program may use the port: `--listen` takes another one",
            ) from error

    @property
    def port(self) -> int:
        """The port, also if 0 was asked for."""
        return int(self.server_address[1])

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Ignore clients that hang up or send nothing: nobody reads a traceback."""

    def serve_until_terminated(self) -> None:
        """Serve until SIGTERM; Ctrl-C raises KeyboardInterrupt."""

        def stop(number: int, frame: object) -> None:
            # `shutdown` waits for the loop, which runs in this thread.
            threading.Thread(target=self.shutdown, daemon=True).start()

        before = signal.signal(signal.SIGTERM, stop)
        try:
            self.serve_forever(poll_interval=0.5)
        finally:
            signal.signal(signal.SIGTERM, before)
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    server_version = "ds01"
    sys_version = ""
    timeout = CLIENT_TIMEOUT

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self._answer(HTTPStatus.NOT_FOUND, f"The metrics are at {PATH}.\n", "text/plain; charset=utf-8")
            return
        try:
            text = self.server.cache.get()
        except Ds01Error as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error.message}\n", "text/plain; charset=utf-8")
            return
        self._answer(HTTPStatus.OK, text, CONTENT_TYPE)

    def _answer(self, status: HTTPStatus, text: str, content_type: str) -> None:
        content = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: Prometheus asks every few seconds."""
