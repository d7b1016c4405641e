"""Events outside ds01 that change a simulated engine's containers: for tests and demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from ds01.engines.protocol import ContainerStatus, Devices
from ds01.engines.references import is_reference
from ds01.engines.simulated import container_rules, images
from ds01.engines.simulated.store import State, StateStore, new_id
from ds01.errors import EngineUnreachable
from ds01.system.data import format_time, to_json


class ExternalEvents:
    """Actions of other `docker` users, the kernel and dockerd on the state of a `SimulatedEngine`."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime]) -> None:
        self.store = StateStore(path)
        self.clock = clock

    def add_foreign(
        self,
        name: str,
        *,
        devices: Devices | None = None,
        image: str = "foreign:latest",
        labels: Mapping[str, str] | None = None,
        privileged: bool = False,
        running: bool = True,
    ) -> str:
        """Add a container that ds01 did not create, without a `spec`; return its id."""
        with self.change() as state:
            container_rules.check_name(state, name)
            container = self.new_container(name, image, labels or {}, devices or Devices())
            container["privileged"] = privileged
            container["source"] = images.source_of(state, image) if is_reference(image) else None
            state["containers"][container["id"]] = container
            if running:
                container_rules.start_container(state, container, self.clock())
        return str(container["id"])

    def set_usage(
        self,
        reference: str,
        *,
        cpu_nanoseconds: int | None,
        network_bytes: int | None = 0,
        io_read_bytes: int | None = 0,
        io_write_bytes: int | None = 0,
    ) -> None:
        """Set what a running container has used since its start; None: unreadable."""
        with self.change() as state:
            container = container_rules.require_processes(state, reference)
            container["used"] = {
                "cpu_nanoseconds": cpu_nanoseconds,
                "network_bytes": network_bytes,
                "io_read_bytes": io_read_bytes,
                "io_write_bytes": io_write_bytes,
            }

    def kill(self, reference: str, *, code: int = 137, out_of_memory: bool = False) -> None:
        """End the first process: `docker kill`, a crash, out of memory, or `exit` (`code` 0)."""
        with self.change() as state:
            container = container_rules.require_processes(state, reference)
            container_rules.end_processes(container, code, self.clock())
            container["oom_killed"] = out_of_memory

    def remove_by_force(self, reference: str) -> None:
        """Remove a container as `docker rm --force` does."""
        with self.change() as state:
            container = container_rules.require_container(state, reference)
            del state["containers"][container["id"]]
            self.store.drop_files(container["id"])

    def set_status(self, reference: str, status: ContainerStatus) -> None:
        """Set any of Docker's states, such as `dead` or `removing`."""
        with self.change() as state:
            container_rules.require_container(state, reference)["status"] = status.value

    def spawn(self, reference: str, command: str, *, stubborn: bool = False) -> int:
        """Add a child of the first process; return its pid. A stubborn one survives a `kill` that is run inside."""
        with self.change() as state:
            container = container_rules.require_running(state, reference)
            pid = int(state["next_pid"])
            state["next_pid"] += 1
            process = {"pid": pid, "parent": container["pid"], "command": command, "stubborn": stubborn}
            container["processes"].append(process)
        return pid

    def set_devices(self, reference: str, devices: Devices) -> None:
        """Give the container other GPU access than it was created with."""
        with self.change() as state:
            container_rules.require_container(state, reference)["devices"] = to_json(devices)

    def restart_engine(self, *, reboot: bool = False) -> None:
        """Restart dockerd without live-restore, or the machine: all running containers end with 137."""
        with self.change() as state:
            for container in state["containers"].values():
                container_rules.end_processes(container, 137, self.clock())
            state["started_at"] = format_time(self.clock())
            if reboot:
                state["booted_at"] = state["started_at"]

    def occupy_port(self, number: int) -> None:
        """Let a program outside containers listen on a port of the server."""
        with self.store.change() as state:
            state["occupied_ports"] = [*state.get("occupied_ports", []), number]

    def set_answering(self, answers: bool) -> None:
        """Let the engine answer, or raise EngineUnreachable on every call."""
        with self.store.change() as state:
            state["down"] = not answers

    def break_container(self, reference: str, *calls: str, words: str | None = None) -> None:
        """Let `calls` of the engine (none named: all) fail for this container, as if dockerd had lost a part of it.

        The list still has it. `words` is Docker's message.
        """
        with self.store.change() as state:
            container = container_rules.require_container(state, reference)
            message_text = words or f"RWLayer of container {container['id']} is unexpectedly nil"
            container["broken"] = {"calls": list(calls), "words": message_text}

    def set_hard_limits(self, limits: Mapping[str, int]) -> None:
        """Set the machine's hard ulimits: a container with a higher one does not start."""
        with self.store.change() as state:
            state["hard_limits"] = dict(limits)

    def fix_container(self, reference: str) -> None:
        """Undo `break_container`."""
        with self.store.change() as state:
            container_rules.require_container(state, reference).pop("broken", None)

    def read(self) -> State:
        """Return the current state. Raises EngineUnreachable if the engine was told not to answer."""
        state = self.store.read()
        if state["down"]:
            why = "the simulated engine was told not to answer"
            raise EngineUnreachable("Docker is not running", why=why, data={"problem": "not_running"})
        return state

    def change(self) -> AbstractContextManager[State]:
        """As `StateStore.change`, if the engine answers."""
        self.read()
        return self.store.change()

    def new_container(self, name: str, image: str, labels: Mapping[str, str], devices: Devices) -> dict[str, Any]:
        """Return a container entry of the state, in state `created`."""
        return {
            "id": new_id(),
            "name": name,
            "image": image,
            "status": ContainerStatus.CREATED.value,
            "labels": dict(labels),
            "created_at": format_time(self.clock()),
            "devices": to_json(devices),
        }
