"""The connection to dockerd. It turns every exception of the SDK into one of ds01's errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docker
import docker.errors
import requests
import urllib3
from docker.utils import config as sdk_config

from ds01.engines.engine_errors import error_from_response, one_line
from ds01.errors import Ds01Error, EngineNotFound, EngineRejected, EngineUnreachable
from ds01.system.docker_config import DockerConfig, read_config

TIMEOUT = 60.0  # seconds without a byte from dockerd; a stop adds its grace
INSPECT_TIMEOUT = 20.0  # an inspect takes milliseconds, unless the container's lock in dockerd is stuck
PING_TIMEOUT = 5.0

# Where packages and administrators install it: the PATH of ordinary users lacks the sbin directories.
PROGRAM_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin", "/snap/bin")

# The SDK raises its own errors for some failures, requests' for most, and urllib3's while an answer is read.
_CONNECTION_ERRORS = (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)


# The SDK decodes ~/.docker/config.json when a client is created, and fails on a bad entry. So it gets no file:
# ds01 reads the file itself, and only if a login or a proxy is needed.
_find_config_file = sdk_config.find_config_file
sdk_config.find_config_file = lambda config_path=None: None


class _CountingApi(docker.APIClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client, counting its HTTP requests."""

    calls = 0

    def send(self, request: Any, **options: Any) -> Any:
        self.calls += 1
        return super().send(request, **options)


class Client:
    """dockerd behind a unix socket. Connects on first use, so that creating a client cannot fail."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._api: Any = None
        self._warned: set[str] = set()

    @property
    def calls(self) -> int:
        """The HTTP requests so far."""
        return 0 if self._api is None else int(self._api.calls)

    def config(self) -> DockerConfig:
        """Read the caller's Docker configuration, in $DOCKER_CONFIG or ~/.docker. Never raises."""
        path = _find_config_file()
        # `~` stays unexpanded without HOME, for a uid that is not in the user database.
        return DockerConfig() if path is None or path.startswith("~") else read_config(Path(path))

    def new_warnings(self, warnings: Iterable[str]) -> list[str]:
        """Return the warnings that were not returned before, so that each is shown once in a command."""
        new = [warning for warning in warnings if warning not in self._warned]
        self._warned.update(new)
        return new

    @contextmanager
    def container_api_call(self, what: str) -> Iterator[Any]:
        """As `api_call`, for a request about one container.

        dockerd can hang on one container, whose lock is stuck, while it answers everything else. That is
        EngineRejected: it says nothing about other containers.
        """
        try:
            with self.api_call(what) as api:
                yield api
        except EngineUnreachable as error:
            if (error.data or {}).get("problem") != "no_answer" or not self._responds():
                raise
            raise EngineRejected(
                f"Docker could not {what}",
                why=f"it does not answer requests about this container, but all others: {error.why}",
                hint="`sudo ds01 doctor` names such containers. A restart of Docker usually helps.",
            ) from error

    def _responds(self) -> bool:
        """Return whether dockerd answers a request that is not about a container."""
        try:
            with self.api_call("answer") as api:
                self.call(api, "GET", "/_ping", timeout=PING_TIMEOUT)
        except Ds01Error:
            return False
        return True

    @contextmanager
    def api_call(self, what: str) -> Iterator[Any]:
        """Yield the SDK's low-level client and convert its errors. `what` follows "Docker could not" in messages."""
        try:
            if self._api is None:
                # The explicit address overrides DOCKER_HOST and contexts. `auto` asks for the API version once.
                self._api = _CountingApi(base_url=f"unix://{self.socket}", version="auto", timeout=TIMEOUT)
                self._api.trust_env = False  # no proxies, no ~/.netrc
            yield self._api
        except Ds01Error:
            raise
        except docker.errors.APIError as error:
            raise error_from_response(error.status_code, str(error.explanation or error), what) from error
        except docker.errors.NullResource as error:
            raise EngineNotFound("Docker has no such container", why="the name is empty") from error
        except (
            docker.errors.DockerException,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
        ) as error:
            raise connection_error(error, self.socket) from error

    def call(
        self,
        api: Any,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        timeout: float | tuple[float, float | None] = TIMEOUT,
        version: str | None = None,
        **options: Any,
    ) -> Any:
        """Send a request that the SDK has no method for, inside `api_call`; return the answer unless it is an error.

        `version`: of the API, if not the newest that both sides know.
        """
        url = f"{api.base_url}/v{version or api.api_version}{path}"
        response = api.request(method, url, params=params, timeout=timeout, **options)
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            raise docker.errors.create_api_error_from_http_exception(error) from error
        return response


def quote_path_part(reference: str) -> str:
    """Quote a name as one part of a path. Raises EngineNotFound for an empty name, which would mean the collection."""
    if not reference:
        raise EngineNotFound("Docker has no such container", why="the name is empty")
    return quote(reference, safe="")


def connection_error(error: BaseException, socket: str) -> EngineUnreachable:
    """Return why dockerd cannot be reached: one of four problems, each with a hint."""
    causes = list(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EngineUnreachable(
            "You may not use Docker",
            why=f"{socket}: permission denied",
            hint="An administrator can add you with `sudo ds01 user add LOGIN` (group docker); then log in again.",
            data={"problem": "not_permitted"},
        )
    if any(isinstance(cause, (FileNotFoundError, ConnectionRefusedError, NotADirectoryError)) for cause in causes):
        if not _is_installed() and not Path(socket).exists():
            return EngineUnreachable(
                "Docker is not installed",
                why=f"{socket} does not exist, and neither do the programs docker and dockerd",
                hint="Install it: `sudo apt install docker.io`.",
                data={"problem": "not_installed"},
            )
        return EngineUnreachable(
            "Docker is not running",
            why=f"no answer at {socket}",
            hint="Start it: `sudo systemctl start docker`.",
            data={"problem": "not_running"},
        )
    return EngineUnreachable(
        "Docker does not answer",
        why=one_line(str(error)),
        hint="`systemctl status docker` and `journalctl -u docker` say more.",
        data={"problem": "no_answer"},
    )


def _is_installed() -> bool:
    return any((Path(folder) / name).exists() for folder in PROGRAM_FOLDERS for name in ("dockerd", "docker"))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    # requests and urllib3 hide the system's error in nested arguments, the SDK in causes.
    visited: set[int] = set()
    pending: list[Any] = [error]
    while pending:
        exception = pending.pop()
        if not isinstance(exception, BaseException) or id(exception) in visited:
            continue
        visited.add(id(exception))
        yield exception
        pending += [exception.__cause__, exception.__context__, *exception.args]
