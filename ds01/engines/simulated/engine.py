"""An engine without Docker: containers are entries in a file, and behave like Docker's at this interface.

For demos on a laptop, fast tests and fault injection; `external_events` has what happens outside ds01.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from ds01.engines.engine_errors import error_from_response
from ds01.engines.protocol import (
    Attachment,
    BuildSpec,
    ContainerProcess,
    ContainerSpec,
    ContainerUsage,
    CreateResult,
    Devices,
    DiskItem,
    DiskUsage,
    EngineContainer,
    EngineImage,
    EngineInfo,
    ExecRequest,
    PathStatus,
    Progress,
    UpdateSpec,
)
from ds01.engines.simulated import build as simulated_build
from ds01.engines.simulated import container_rules, images
from ds01.engines.simulated.external_events import ExternalEvents
from ds01.engines.simulated.store import new_id
from ds01.errors import EngineConflict, EngineNotFound, EngineRejected
from ds01.system.data import to_json

_UNUSED = {"cpu_nanoseconds": 0, "network_bytes": 0, "io_read_bytes": 0, "io_write_bytes": 0}
_SESSION = "simulated-"
_NOTHING_RUNS = b"This container is simulated: nothing runs in it, and nothing typed here goes anywhere.\r\n"


class SimulatedEngine(ExternalEvents):
    """An `Engine` whose state is the file at `path`; `clock` gives the times of events."""

    def info(self) -> EngineInfo:
        """Return the engine's properties. The id is created on the first call, and stored in the file."""
        if not self.store.path.exists():
            with self.store.change():
                pass  # under its lock, so that only one process creates the id
        state = self.read()
        return EngineInfo(
            id=state["id"],
            name="simulated",
            version="simulated",
            cgroup_driver="none",
            cgroup_version="none",
            live_restore=True,
            default_runtime="runc",
            runtimes=("runc",),
            cpus=os.cpu_count() or 1,
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            started_at=container_rules.parse_optional_time(state.get("started_at")),
            booted_at=container_rules.parse_optional_time(state.get("booted_at")),
        )

    def containers(self) -> list[EngineContainer]:
        """Return all containers, newest first, as Docker lists them."""
        found = list(self.read()["containers"].values())
        return [container_rules.list_entry(container) for container in reversed(found)]

    def inspect(self, reference: str, *, size: bool = False) -> EngineContainer | None:
        """Return one container with its detail; None if there is none."""
        state = self.read()
        container = container_rules.find_container(state, reference)
        if container is None:
            return None
        container_rules.require_unbroken(state, reference, "inspect")
        return replace(container_rules.inspect_entry(container), size_bytes=0 if size else None)

    def create(self, spec: ContainerSpec) -> CreateResult:
        """Create a container, after the same checks as in Docker."""
        with self.change() as state:
            container_rules.check_spec(state, spec)
            source = images.source_of(state, spec.image)
            if source is None:
                raise error_from_response(404, f"No such image: {spec.image}", "create the container")
            if not spec.image.startswith("sha256:"):
                state["tags"].setdefault(images.require_full_name(spec.image), source)
            image = images.describe_image(state, source)
            spec = replace(
                spec,
                labels={**image.labels, **spec.labels},
                environment={
                    name: value
                    for name, value in {**image.environment, **spec.environment}.items()
                    if name not in spec.removed_variables
                },
            )
            devices = Devices(spec.device_uuids, form="device_request" if spec.device_uuids else None)
            container = self.new_container(spec.name, spec.image, spec.labels, devices)
            container["spec"] = to_json(replace(spec, labels={}))  # the labels are stored beside it
            container["source"] = source
            state["containers"][container["id"]] = container
        return CreateResult(container["id"])

    def update(self, reference: str, limits: UpdateSpec) -> tuple[str, ...]:
        """Change the limits of a container; for one from `add_foreign` they are not stored."""
        with self.change() as state:
            container_rules.update_limits(container_rules.require_unbroken(state, reference, "update"), limits)
        return ()

    def start(self, reference: str) -> None:
        """Start a container; does nothing if it runs. Raises EngineConflict if it is paused."""
        with self.change() as state:
            container_rules.start_container(
                state, container_rules.require_unbroken(state, reference, "start"), self.clock()
            )

    def stop(self, reference: str, *, grace: float) -> None:
        """Stop as if the first process obeyed the stop signal at once; `grace` is ignored."""
        with self.change() as state:
            container = container_rules.require_unbroken(state, reference, "stop")
            name = container["spec"]["stop_signal"] if container.get("spec") else "SIGTERM"
            container_rules.end_processes(container, 128 + signal.Signals[name].value, self.clock())

    def remove(self, reference: str) -> None:
        """Remove a container that does not run."""
        with self.change() as state:
            container = container_rules.require_unbroken(state, reference, "remove")
            container_rules.refuse_removal(container)
            del state["containers"][container["id"]]
            self.store.drop_files(container["id"])

    def rename(self, reference: str, name: str) -> None:
        """Rename a container."""
        with self.change() as state:
            container = container_rules.require_unbroken(state, reference, "rename")
            container_rules.check_name(state, name)
            container["name"] = name
            if container.get("spec"):
                container["spec"]["name"] = name

    def pause(self, reference: str) -> None:
        """Freeze a running container."""
        with self.change() as state:
            container_rules.pause_container(container_rules.require_unbroken(state, reference, "pause"))

    def unpause(self, reference: str) -> None:
        """Unpause a container."""
        with self.change() as state:
            container_rules.unpause_container(container_rules.require_unbroken(state, reference, "unpause"))

    def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
        """Store the archive's files below `folder`. Every directory exists."""
        with self.change() as state:
            container = container_rules.require_unbroken(state, reference, "put_archive")
            files = {**self.store.files(container["id"]), **images.unpack_tar(archive, folder)}
            self.store.keep_files(container["id"], files)

    def get_archive(self, reference: str, path: str) -> bytes | None:
        """Return what was put there, or the few files that every image has."""
        state = self.read()
        container = container_rules.require_unbroken(state, reference, "get_archive")
        root = images.root_of(state, container.get("source") or "")
        files = {**images.files_of(root), **self.store.files(container["id"])}
        return images.pack_tar(files, path)

    def path_status(self, reference: str, path: str) -> PathStatus | None:
        """Return the status of a path that `get_archive` has; /root is accessible to root only."""
        state = self.read()
        container = container_rules.require_unbroken(state, reference, "path_status")
        root = images.root_of(state, container.get("source") or "")
        return images.path_status({**images.files_of(root), **self.store.files(container["id"])}, path)

    def processes(self, reference: str) -> list[ContainerProcess]:
        """Return the container's command, and processes added by `ExternalEvents.spawn`."""
        container_rules.require_unbroken(self.read(), reference, "processes")
        container = container_rules.require_processes(self.read(), reference)
        return [
            ContainerProcess(process["pid"], process["parent"], process["command"])
            for process in container["processes"]
        ]

    def run(self, reference: str, request: ExecRequest) -> int:
        """Return 0 without running anything; a command with `kill` ends the spawned processes unless stubborn."""
        with self.change() as state:
            container_rules.require_unbroken(state, reference, "run")
            container = container_rules.require_running(state, reference)
            if "kill" in " ".join(request.command):
                container["processes"] = [process for process in container["processes"] if process["stubborn"]]
        return 0

    def attach(self, reference: str, request: ExecRequest) -> Attachment:
        """Return a stream that says that nothing runs here, and ends."""
        container_rules.require_unbroken(self.read(), reference, "attach")
        container_rules.require_running(self.read(), reference)
        ours, theirs = socket.socketpair()
        with ours:
            head = b"" if request.tty else bytes([1, 0, 0, 0]) + len(_NOTHING_RUNS).to_bytes(4, "big")
            ours.sendall(head + _NOTHING_RUNS)
        return Attachment(theirs.detach(), f"{_SESSION}{new_id()}", request.tty)

    def resize(self, session: str, *, rows: int, columns: int) -> None:
        """Do nothing: the program has ended."""
        self.exit_code(session)

    def signal(self, session: str, number: int) -> bool:
        """Do nothing: the program has ended."""
        self.exit_code(session)
        return True

    def exit_code(self, session: str) -> int | None:
        """Return 0. Raises EngineNotFound for an unknown session."""
        self.read()
        if not session.startswith(_SESSION):
            raise error_from_response(404, f"No such exec instance: {session}", "ask about a program")
        return 0

    def usage(self, reference: str, *, pid: int | None = None) -> ContainerUsage:
        """Return the usage from `ExternalEvents.set_usage`, at first zero."""
        container_rules.require_unbroken(self.read(), reference, "usage")
        container = container_rules.require_processes(self.read(), reference)
        limit = container["spec"]["memory"] if container.get("spec") else None
        used = _UNUSED | (container.get("used") or {})
        count, first = len(container["processes"]), container["pid"]
        return ContainerUsage(memory_bytes=0, memory_limit_bytes=limit, pids=count, pid=first, **used)

    def usages(self, pids: Mapping[str, int | None], *, network: bool = True) -> dict[str, ContainerUsage]:
        """Return the usage of many containers."""
        found = {}
        for container in pids:
            with suppress(EngineNotFound, EngineConflict, EngineRejected):
                usage = self.usage(container)
                found[container] = usage if network else replace(usage, network_bytes=None)
        return found

    def disk_usage(self) -> DiskUsage:
        """Return what takes how much disk space: an image 1 MB, a container nothing."""
        state = self.read()
        containers = state["containers"].values()
        return DiskUsage(
            layers_bytes=sum(image.size_bytes or 0 for image in self.images()),
            images=tuple(DiskItem(image.id, image.tags, image.size_bytes) for image in self.images()),
            containers=tuple(DiskItem(each["id"], (each["name"],), 0) for each in containers),
            volumes=(),
            build_cache_bytes=0,
        )

    def image(self, reference: str) -> EngineImage | None:
        """Return the image for a reference: nearly every image exists (see `images`)."""
        state = self.read()
        source = images.source_of(state, reference)
        return None if source is None else images.describe_image(state, source)

    def images(self) -> list[EngineImage]:
        """Return the images that were pulled, tagged, or used by a container."""
        state = self.read()
        return [images.describe_image(state, source) for source in dict.fromkeys(state["tags"].values())]

    def pull(self, reference: str) -> Generator[Progress, None, None]:
        """Pull an image in three steps."""
        name = images.require_full_name(reference)
        self.read()
        if name.startswith("absent/"):
            raise EngineNotFound(
                f"The image {reference} was not found",
                why=f"pull access denied for {reference}, repository does not exist",
                hint="Check the name. For a private image, run `docker login` first.",
            )
        yield Progress("latest", f"Pulling from {name}")
        for current in (0, 500_000, 1_000_000):
            yield Progress("simulated", "Downloading", current, 1_000_000)
        with self.change() as state:
            state["tags"][name] = name
            state["untagged"] = [other for other in state["untagged"] if other != name]
        yield Progress(name, f"Status: Downloaded newer image for {name}")

    def build(self, spec: BuildSpec, context: Iterable[bytes]) -> Generator[Progress, None, None]:
        """Build an image from a Dockerfile; nothing runs (see `steps`)."""
        images.require_full_name(spec.reference)
        stage = yield from simulated_build.run_build(spec, context, self.read, self.pull)
        with self.change() as state:
            image = simulated_build.register_image(state, spec, stage, self.clock())
        yield Progress("built", image)

    def tag(self, image: str, reference: str) -> None:
        """Add a tag to a local image; if another image has the tag, it moves."""
        name = images.require_full_name(reference)
        with self.change() as state:
            source = images.source_of(state, image)
            if source is None:
                raise error_from_response(404, f"No such image: {image}", "tag an image")
            state["tags"][name] = source
            state["untagged"] = [other for other in state["untagged"] if other != name]

    def untag(self, reference: str) -> None:
        """Remove a tag, unless it is the last tag of an image that a container uses. A missing tag is ignored."""
        name = images.require_full_name(reference)
        with self.change() as state:
            source = images.source_of(state, name)
            if source is None:
                return
            if images.is_used(state, source) and images.describe_image(state, source).tags == (name,):
                return
            images.remove_image(state, name)

    def remove_image(self, reference: str) -> None:
        """Remove a tag, and the image with its last tag."""
        with self.change() as state:
            images.remove_image(state, reference)
