"""The `Engine` for Docker: each method is one or two requests to dockerd on its unix socket, without rules of ds01.

Only this package imports the SDK, which takes 0.1 s.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from ds01.engines.docker import exec as docker_exec
from ds01.engines.docker import images as docker_images
from ds01.engines.docker.client import INSPECT_TIMEOUT, TIMEOUT, Client, quote_path_part
from ds01.engines.docker.disk_usage import read_disk_usage
from ds01.engines.docker.path_stat import path_status
from ds01.engines.docker.start_times import booted_at, engine_started_at
from ds01.engines.docker.translate import create_body, read_info, read_inspected, read_listed, update_body
from ds01.engines.docker.usage import read_usage
from ds01.engines.engine_errors import error_from_response, one_line
from ds01.engines.protocol import (
    Attachment,
    BuildSpec,
    ContainerProcess,
    ContainerSpec,
    ContainerUsage,
    CreateResult,
    DiskUsage,
    EngineContainer,
    EngineImage,
    EngineInfo,
    ExecRequest,
    PathStatus,
    Progress,
    UpdateSpec,
)
from ds01.errors import EngineConflict, EngineNotFound, EngineRejected


class DockerEngine:
    """dockerd at `socket`, regardless of DOCKER_HOST and contexts."""

    def __init__(self, socket: str = "/var/run/docker.sock") -> None:
        self._client = Client(socket)
        self._default_runtime: str | None = None

    @property
    def calls(self) -> int:
        """The number of HTTP requests so far, version negotiation included."""
        return self._client.calls

    def info(self) -> EngineInfo:
        """Return the engine's properties, as of now."""
        with self._client.api_call("describe itself") as api:
            info = replace(read_info(api.info()), started_at=engine_started_at(), booted_at=booted_at())
        self._default_runtime = info.default_runtime
        return info

    def containers(self) -> list[EngineContainer]:
        """Return all containers of the host in one request. The SDK's list inspects each, and fails if one vanishes."""
        with self._client.api_call("list the containers") as api:
            return [read_listed(entry) for entry in api.containers(all=True)]

    def inspect(self, reference: str, *, size: bool = False) -> EngineContainer | None:
        """Return one container with its detail. `size` makes Docker add up its files, which can take seconds."""
        if not reference:
            return None
        params, timeout = ({"size": "1"}, TIMEOUT) if size else (None, INSPECT_TIMEOUT)
        path = f"/containers/{quote_path_part(reference)}/json"
        try:
            with self._client.container_api_call("inspect the container") as api:
                entry = self._client.call(api, "GET", path, params=params, timeout=timeout).json()
        except EngineNotFound:
            return None
        try:
            return read_inspected(entry, self._get_default_runtime)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # A half removed container can lack fields that all others have.
            why = f"its answer is incomplete or malformed: {type(error).__name__}: {error}"
            raise EngineRejected("Docker could not inspect the container", why=one_line(why)) from error

    def create(self, spec: ContainerSpec) -> CreateResult:
        """Create a container from exactly this spec."""
        with self._client.api_call("create the container") as api:
            answer = api.create_container_from_config(create_body(spec), name=spec.name)
        return CreateResult(answer["Id"], tuple(one_line(warning) for warning in answer.get("Warnings") or ()))

    def update(self, reference: str, limits: UpdateSpec) -> tuple[str, ...]:
        """Change the limits of a container, and set its restart policy to `no`."""
        with self._client.container_api_call("change the limits of the container") as api:
            path = f"/containers/{quote_path_part(reference)}"
            host = self._client.call(api, "GET", f"{path}/json").json()["HostConfig"]
            answer = self._client.call(api, "POST", f"{path}/update", json=update_body(limits, host)).json()
        return tuple(one_line(warning) for warning in answer.get("Warnings") or ())

    def start(self, reference: str) -> None:
        """Start a container; does nothing if it runs. Raises EngineConflict if it is paused."""
        with self._client.container_api_call("start the container") as api:
            api.start(reference)

    def stop(self, reference: str, *, grace: float) -> None:
        """Send the stop signal, and SIGKILL after `grace` seconds, rounded up to whole seconds for Docker."""
        with self._client.container_api_call("stop the container") as api:
            api.stop(reference, timeout=max(0, math.ceil(grace)))

    def remove(self, reference: str) -> None:
        """Remove a container that does not run, and the anonymous volumes that Docker created for it."""
        with self._client.container_api_call("remove the container") as api:
            api.remove_container(reference, v=True, force=False)

    def rename(self, reference: str, name: str) -> None:
        """Rename a container."""
        with self._client.container_api_call("rename the container") as api:
            api.rename(reference, name)

    def pause(self, reference: str) -> None:
        """Freeze all processes of a container."""
        with self._client.container_api_call("pause the container") as api:
            api.pause(reference)

    def unpause(self, reference: str) -> None:
        """Resume the processes of a paused container."""
        with self._client.container_api_call("unpause the container") as api:
            api.unpause(reference)

    def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
        """Unpack a tar archive into the directory `folder` inside. Raises EngineRejected if it does not exist."""
        with self._client.container_api_call("copy files into the container") as api:
            path = f"/containers/{quote_path_part(reference)}/archive"
            self._client.call(api, "PUT", path, params={"path": folder}, data=archive)

    def get_archive(self, reference: str, path: str) -> bytes | None:
        """Return a tar archive of `path` inside; links are not followed."""
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
        """Return the status of `path` inside; None too if the container is gone, which Docker does not distinguish."""
        try:
            with self._client.container_api_call("look at files of the container") as api:
                address = f"/containers/{quote_path_part(reference)}/archive"
                return path_status(self._client, api, address, path)
        except EngineNotFound:
            return None

    def processes(self, reference: str) -> list[ContainerProcess]:
        """Return the processes, as the host's `ps` shows them."""
        first = self._pid(reference)
        with self._client.container_api_call("list the container's processes") as api:
            answer = api.top(reference, ps_args="-eo pid,ppid,args")
        found = [ContainerProcess(int(row[0]), int(row[1]), row[2]) for row in answer.get("Processes") or ()]
        # A program started with exec has the same parent as the first process, and pids wrap around.
        return sorted(found, key=lambda process: (process.pid != first, process.pid))

    def run(self, reference: str, request: ExecRequest) -> int:
        """Run a short program inside without a terminal; its output is discarded."""
        return docker_exec.run_program(self._client, reference, request)

    def attach(self, reference: str, request: ExecRequest) -> Attachment:
        """Start a program inside and connect to it. A failed start is reported in the stream."""
        return docker_exec.attach_program(self._client, reference, request)

    def resize(self, session: str, *, rows: int, columns: int) -> None:
        """Set the terminal size of an attached program; does nothing if it has ended."""
        docker_exec.resize_terminal(self._client, session, rows=rows, columns=columns)

    def signal(self, session: str, number: int) -> bool:
        """Send a signal to an attached program and its process group; False if its process cannot be found."""
        return docker_exec.signal_program(self._client, session, number)

    def exit_code(self, session: str) -> int | None:
        """Return the exit code of an attached program; None while it runs."""
        return docker_exec.program_exit_code(self._client, session)

    def usage(self, reference: str, *, pid: int | None = None) -> ContainerUsage:
        """Return the current usage of a running container, from its cgroup. `pid` is used if it still belongs to it."""
        return self._usage(reference, pid, network=True)

    def usages(self, pids: Mapping[str, int | None], *, network: bool = True) -> dict[str, ContainerUsage]:
        """Return the usage of many containers; only those whose pid is not known are inspected."""
        found = {}
        for container, pid in pids.items():
            with suppress(EngineNotFound, EngineConflict, EngineRejected):
                found[container] = self._usage(container, pid, network=network)
        return found

    def _usage(self, reference: str, pid: int | None, *, network: bool) -> ContainerUsage:
        usage = None if pid is None else read_usage(pid, reference, network=network)
        # A process that has just ended is in no cgroup: then nothing is known.
        return usage or read_usage(self._pid(reference), network=network) or ContainerUsage(None, None, None, None)

    def disk_usage(self) -> DiskUsage:
        """Return what takes how much disk space."""
        return read_disk_usage(self._client)

    def image(self, reference: str) -> EngineImage | None:
        """Return the local image for a reference, or None."""
        return docker_images.find_image(self._client, reference)

    def images(self) -> list[EngineImage]:
        """Return all tagged local images, without their environment."""
        return docker_images.list_images(self._client)

    def pull(self, reference: str) -> Generator[Progress, None, None]:
        """Pull an image, with the caller's `docker login` if there is one."""
        return docker_images.pull_image(self._client, reference)

    def build(self, spec: BuildSpec, context: Iterable[bytes]) -> Generator[Progress, None, None]:
        """Build an image, with the caller's `docker login` for its base."""
        from ds01.engines.docker import build as docker_build

        return docker_build.build_image(self._client, spec, context)

    def tag(self, image: str, reference: str) -> None:
        """Add a tag to a local image."""
        docker_images.add_tag(self._client, image, reference)

    def untag(self, reference: str) -> None:
        """Remove a tag; does nothing if it does not exist, or is the last tag of an image that a container uses."""
        docker_images.remove_tag(self._client, reference)

    def remove_image(self, reference: str) -> None:
        """Remove a tag, and the image with its last tag. Raises EngineNotFound, EngineConflict."""
        docker_images.remove_image(self._client, reference)

    def _pid(self, reference: str) -> int:
        container = self.inspect(reference)
        if container is None:
            raise error_from_response(404, f"No such container: {reference}", "find the container")
        if container.pid is None:
            raise error_from_response(409, f"Container {container.id} is not running", "look into the container")
        return container.pid

    def _get_default_runtime(self) -> str:
        # It changes only when dockerd restarts, and only containers with an unclear runtime need it.
        if self._default_runtime is None:
            self._default_runtime = self.info().default_runtime
        return self._default_runtime
