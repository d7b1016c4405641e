"""Docker as an `Engine`: each method is a request or two to dockerd on its unix socket, and no rule of ds01's.

Only files of this package whose name begins with `docker` import the SDK, which takes 0.1 s.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from dataclasses import replace

from ds01.engines.docker import build as docker_build
from ds01.engines.docker import exec as docker_exec
from ds01.engines.docker import images as docker_images
from ds01.engines.docker.client import INSPECT_TIMEOUT, TIMEOUT, Client, quote_path_part
from ds01.engines.docker.path_stat import path_status
from ds01.engines.docker.start_times import booted_at, engine_started_at
from ds01.engines.docker.translate import create_body, read_info, read_inspected, read_listed, update_body
from ds01.engines.docker.usage import is_in_container, read_usage
from ds01.engines.engine_errors import error_from_response, one_line
from ds01.engines.protocol import (
    Attachment,
    BuildSpec,
    ContainerProcess,
    ContainerSpec,
    ContainerUsage,
    CreateResult,
    EngineContainer,
    EngineImage,
    EngineInfo,
    ExecRequest,
    PathStatus,
    Progress,
    UpdateSpec,
)
from ds01.errors import EngineNotFound, EngineRejected


class DockerEngine:
    """dockerd at `socket`, whatever DOCKER_HOST or a context say."""

    def __init__(self, socket: str = "/var/run/docker.sock") -> None:
        self._client = Client(socket)
        self._default_runtime: str | None = None

    @property
    def calls(self) -> int:
        """The HTTP requests so far, the one that agrees on a version included."""
        return self._client.calls

    def info(self) -> EngineInfo:
        """What the engine is, asked anew."""
        with self._client.api_call("describe itself") as api:
            info = replace(read_info(api.info()), started_at=engine_started_at(), booted_at=booted_at())
        self._default_runtime = info.default_runtime
        return info

    def containers(self) -> list[EngineContainer]:
        """All containers of the host in one request. The SDK's own list inspects each, and fails when one goes."""
        with self._client.api_call("list the containers") as api:
            return [read_listed(entry) for entry in api.containers(all=True)]

    def inspect(self, reference: str, *, size: bool = False) -> EngineContainer | None:
        """One container with its detail. `size` makes Docker add up its files, which can take seconds."""
        if not reference:
            return None
        params, timeout = ({"size": "1"}, TIMEOUT) if size else (None, INSPECT_TIMEOUT)
        path = f"/containers/{quote_path_part(reference)}/json"
        try:
            with self._client.container_api_call("look at the container") as api:
                entry = self._client.call(api, "GET", path, params=params, timeout=timeout).json()
        except EngineNotFound:
            return None
        try:
            return read_inspected(entry, self._get_default_runtime)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # A container that is half gone can lack what every other one has.
            why = f"its answer lacks a part, or has one of another form: {type(error).__name__}: {error}"
            raise EngineRejected("Docker could not look at the container", why=one_line(why)) from error

    def create(self, spec: ContainerSpec) -> CreateResult:
        """Make a container of exactly this spec."""
        with self._client.api_call("create the container") as api:
            answer = api.create_container_from_config(create_body(spec), name=spec.name)
        return CreateResult(answer["Id"], tuple(one_line(warning) for warning in answer.get("Warnings") or ()))

    def update(self, reference: str, limits: UpdateSpec) -> tuple[str, ...]:
        """Change the limits of a container, and its restart policy to `no`."""
        with self._client.container_api_call("change the limits of the container") as api:
            path = f"/containers/{quote_path_part(reference)}"
            host = self._client.call(api, "GET", f"{path}/json").json()["HostConfig"]
            answer = self._client.call(api, "POST", f"{path}/update", json=update_body(limits, host)).json()
        return tuple(one_line(warning) for warning in answer.get("Warnings") or ())

    def start(self, reference: str) -> None:
        """Start; nothing if it runs, EngineConflict if it is paused."""
        with self._client.container_api_call("start the container") as api:
            api.start(reference)

    def stop(self, reference: str, *, grace: float) -> None:
        """Send the stop signal, and SIGKILL after `grace` seconds, of which Docker counts whole ones."""
        with self._client.container_api_call("stop the container") as api:
            api.stop(reference, timeout=max(0, math.ceil(grace)))

    def remove(self, reference: str) -> None:
        """Remove a container that does not run, and the unnamed volumes that Docker made for it alone."""
        with self._client.container_api_call("remove the container") as api:
            api.remove_container(reference, v=True, force=False)

    def rename(self, reference: str, name: str) -> None:
        """Give a container another name."""
        with self._client.container_api_call("rename the container") as api:
            api.rename(reference, name)

    def pause(self, reference: str) -> None:
        """Freeze all its processes."""
        with self._client.container_api_call("pause the container") as api:
            api.pause(reference)

    def unpause(self, reference: str) -> None:
        """Let them go on."""
        with self._client.container_api_call("unpause the container") as api:
            api.unpause(reference)

    def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
        """Unpack a tar archive into `folder` inside. Raises EngineRejected if there is no such folder."""
        with self._client.container_api_call("put files into the container") as api:
            path = f"/containers/{quote_path_part(reference)}/archive"
            self._client.call(api, "PUT", path, params={"path": folder}, data=archive)

    def get_archive(self, reference: str, path: str) -> bytes | None:
        """A tar archive of `path` inside; a link is itself, not what it points to."""
        try:
            with self._client.container_api_call("read files of the container") as api:
                address = f"/containers/{quote_path_part(reference)}/archive"
                answer = self._client.call(api, "GET", address, params={"path": path})
                content: bytes = answer.content
                return content
        except EngineRejected as error:
            if "could not find the file" in (error.why or "").lower():
                return None
            raise

    def path_status(self, reference: str, path: str) -> PathStatus | None:
        """The status of `path` inside; None also where the container is gone, which Docker's answer does not tell."""
        try:
            with self._client.container_api_call("look at files of the container") as api:
                address = f"/containers/{quote_path_part(reference)}/archive"
                return path_status(self._client, api, address, path)
        except EngineNotFound:
            return None

    def processes(self, reference: str) -> list[ContainerProcess]:
        """The processes, as the host's `ps` sees them."""
        first = self._pid(reference)
        with self._client.container_api_call("list the container's processes") as api:
            answer = api.top(reference, ps_args="-eo pid,ppid,args")
        found = [ContainerProcess(int(row[0]), int(row[1]), row[2]) for row in answer.get("Processes") or ()]
        # A program that was started from outside has the same parent as the first one, and pids start over.
        return sorted(found, key=lambda process: (process.pid != first, process.pid))

    def run(self, reference: str, request: ExecRequest) -> int:
        """Run a short program inside without a terminal; what it writes is dropped."""
        return docker_exec.run_program(self._client, reference, request)

    def attach(self, reference: str, request: ExecRequest) -> Attachment:
        """Start a program inside and connect to it. What cannot be started says so in the stream."""
        return docker_exec.attach_program(self._client, reference, request)

    def resize(self, session: str, *, rows: int, columns: int) -> None:
        """Tell an attached program the size of its terminal; nothing if it has ended."""
        docker_exec.resize_terminal(self._client, session, rows=rows, columns=columns)

    def signal(self, session: str, number: int) -> bool:
        """Send a signal to an attached program and its process group; False if its process cannot be found."""
        return docker_exec.signal_program(self._client, session, number)

    def exit_code(self, session: str) -> int | None:
        """The exit code of an attached program; None while it runs."""
        return docker_exec.program_exit_code(self._client, session)

    def usage(self, reference: str, *, pid: int | None = None) -> ContainerUsage:
        """What a running container uses now, from its cgroup's files. `pid` counts if it is still this container's."""
        if pid is None or not is_in_container(pid, reference):
            pid = self._pid(reference)
        return read_usage(pid)

    def image(self, reference: str) -> EngineImage | None:
        """The local image behind a reference."""
        return docker_images.find_image(self._client, reference)

    def images(self) -> list[EngineImage]:
        """All local images that have a tag, without their environment."""
        return docker_images.list_images(self._client)

    def pull(self, reference: str) -> Generator[Progress, None, None]:
        """Fetch an image, with the caller's `docker login`, if there is one."""
        return docker_images.pull_image(self._client, reference)

    def build(self, spec: BuildSpec, context: Iterable[bytes]) -> Generator[Progress, None, None]:
        """Make an image, with the caller's `docker login` for its base."""
        return docker_build.build_image(self._client, spec, context)

    def tag(self, image: str, reference: str) -> None:
        """Give a local image one more tag."""
        docker_images.add_tag(self._client, image, reference)

    def untag(self, reference: str) -> None:
        """Take a tag away; nothing if it is not there, or is the last one of an image that a container uses."""
        docker_images.remove_tag(self._client, reference)

    def remove_image(self, reference: str) -> None:
        """Take a tag away, and the image with its last one. Raises EngineNotFound, EngineConflict."""
        docker_images.remove_image(self._client, reference)

    def _pid(self, reference: str) -> int:
        container = self.inspect(reference)
        if container is None:
            raise error_from_response(404, f"No such container: {reference}", "find the container")
        if container.pid is None:
            raise error_from_response(409, f"Container {container.id} is not running", "look into the container")
        return container.pid

    def _get_default_runtime(self) -> str:
        # It changes only with a restart of dockerd, and only containers with an unclear runtime need it.
        if self._default_runtime is None:
            self._default_runtime = self.info().default_runtime
        return self._default_runtime
