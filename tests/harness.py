"""A complete ds01 in a directory: users, policy, simulated engine and GPUs, a stopped clock.

Several gates on one bed share nothing but the folder, as several processes do.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

from ds01.engines.protocol import Engine
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.gpus.inventory import GpuInventory
from ds01.gpus.model import GpuObservation, GpuRequest
from ds01.gpus.requirements import DriverInfo
from ds01.gpus.simulated import parse_inventory
from ds01.journal.events import EventLog
from ds01.journal.notices import Mailboxes
from ds01.lifecycle.context.context import Context, open_context
from ds01.policy.model import MountRoots, Policy
from ds01.policy.reading.load import load
from ds01.records.entries import readable
from ds01.records.ledger import Ledger
from ds01.records.record import Record
from ds01.records.request import ContainerRequest
from ds01.system.data import to_json
from ds01.system.users import Actor, Users
from tests.client import Client

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
GPUS = "1xA100,1xA100:3x2g.10gb"
IMAGE = "pytorch/pytorch"
PEOPLE = {"alice": 70001, "bob": 70002, "carol": 70003, "root": 0, "boss": 70009}
POLICY = """\
defaults: {max_mig_instances: 2, max_gpus_per_container: 2, max_containers_per_user: 3, gpu_hold_after_stop: 24h}
groups:
  admins: {members: [boss], admin: true, max_mig_instances: null}
mounts: {workspace: [], data: [/SHARED/data], models: [/SHARED/models]}
"""


@dataclass
class Clock:
    """A clock that only the test moves."""

    time: datetime = NOON

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> datetime:
        self.time += timedelta(**by)
        return self.time


class Harness:
    """Create it in `root`. `shared`: the gid of a group that shares the state directory, as on a server."""

    def __init__(
        self,
        root: Path,
        *,
        policy: str = POLICY,
        gpus: str = GPUS,
        people: Mapping[str, int] = PEOPLE,
        shared: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.root = root
        self.state = root / "state"
        self.people = people
        self.clock = clock or Clock()
        self.read_policy: Callable[[], Policy] = lambda: self.policy
        self.ports_in_use: set[int] = set()  # by programs outside containers
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.log: EventLog | None = None  # takes the place of `events`
        self.slept: list[float] = []
        self.inventory: GpuInventory = parse_inventory(gpus)
        self.uuid = {slot.slot: slot.uuid for slot in self.inventory.observe().slots}
        _open_up(root)
        self.state.mkdir()
        if shared is not None:
            os.chown(self.state, 0, shared)
            self.state.chmod(0o2775)
        for name in ("data", "models"):
            (root / "shared" / name).mkdir(parents=True)
        self._write_policy(policy)
        self._make_people()
        self.engine = SimulatedEngine(self.state / "simulated.json", clock=self.clock)
        self.ledger = self.open_ledger()
        self.context = self.make_context(engine=self.engine, ledger=self.ledger)
        self.gate = Client(self.context)

    def open_ledger(self) -> Ledger:
        """Open the state directory as another process would."""
        return Ledger(self.state, sandbox=True)

    def make_context(self, *, engine: Engine | None = None, ledger: Ledger | None = None, **ports: Any) -> Context:
        """Return the context of one process, with its own ledger and caches. `ports`: replaces the default."""
        usual: dict[str, Any] = {
            "ledger": ledger or self.open_ledger(),
            "engine": engine or SimulatedEngine(self.state / "simulated.json", clock=self.clock),
            "inventory": _CurrentInventory(self),
            "policy": self.policy,
            "users": Users(self.state / "passwd"),
            "clock": self.clock,
            "emit": self.emit,
            "sleep": self.slept.append,
            "sandbox": True,
            "inject_devices": True,
            "mailboxes": Mailboxes(self.state / "notices"),
            "log_directory": self.state / "log",
            "load_policy": lambda: self.read_policy(),
            "port_is_free": lambda number: number not in self.ports_in_use,
        }
        return open_context(**usual | ports)

    def emit(self, kind: str, event: Mapping[str, Any]) -> None:
        if self.log is not None:
            self.log.emit(kind, event)
            return
        self.events.append((kind, {key: to_json(value) for key, value in event.items()}))

    def another_gate(self, *, engine: Engine | None = None) -> Client:
        """Return the gate of another process."""
        return Client(self.make_context(engine=engine))

    def set_policy(self, text: str) -> None:
        """Change the policy or the GPUs from now on."""
        self._write_policy(text)
        self.set_context()

    def set_context(self, **ports: Any) -> None:
        """Open the context again, with other ports."""
        self.context = self.make_context(engine=self.engine, ledger=self.ledger, **ports)
        self.gate = Client(self.context)

    def actor(self, login: str) -> Actor:
        """Return the actor of that name."""
        return self.context.users.actor(self.people[login])

    def home(self, login: str) -> Path:
        return self.root / "home" / login

    def request(self, login: str, name: str = "thesis", gpus: int | None = None, **more: Any) -> ContainerRequest:
        """Return a request for a container."""
        return ContainerRequest(self.people[login], name, more.pop("image", IMAGE), GpuRequest(gpus), **more)

    def full(self, login: str, name: str = "thesis") -> str:
        """Return the full name."""
        return f"{name}._.{self.people[login]}"

    def record(self, login: str, name: str = "thesis") -> Record:
        """Return a record from disk."""
        entry = self.open_ledger().read()[self.full(login, name)]
        assert isinstance(entry, Record), entry
        return entry

    def records(self) -> list[Record]:
        """Return all readable records from disk, without removed ones."""
        return readable(self.open_ledger().read())

    def record_file(self, login: str, name: str = "thesis") -> Path:
        return self.state / "container-metadata" / f"{self.full(login, name)}.json"

    def leased(self) -> dict[str, str]:
        """Return the container by UUID for all leases. Fails if a UUID is leased twice."""
        found: dict[str, str] = {}
        for record in self.records():
            for ref in record.lease.slots if record.lease else ():
                assert ref.uuid not in found, f"{ref.slot} is leased to {found[ref.uuid]} and {record.container_name}"
                found[ref.uuid] = record.container_name
        return found

    def kinds(self) -> list[str]:
        """Return the events."""
        return [kind for kind, _ in self.events]

    def _write_policy(self, text: str) -> None:
        self.policy_text = text
        path = self.root / "resource-limits.yaml"
        path.write_text(text.replace("/SHARED", str(self.root / "shared")))
        policy = _loaded(text)
        mounts = {
            kind: tuple(folder.replace("/SHARED", str(self.root / "shared")) for folder in folders)
            for kind, folders in vars(policy.mounts).items()
        }
        self.policy = replace(policy, path=path, mounts=MountRoots(**mounts))

    def _make_people(self) -> None:
        lines = []
        for login, uid in self.people.items():
            home = self.home(login)
            (home / "workspace" / "thesis").mkdir(parents=True)
            if os.geteuid() == 0:
                for folder in (home, home / "workspace", home / "workspace" / "thesis"):
                    os.chown(folder, uid, uid)
            lines.append(f"{login}:x:{uid}:{uid}::{home}:/bin/sh\n")
        (self.state / "passwd").write_text("".join(lines))


class _CurrentInventory:
    """The current GPUs of the harness, which tests can replace."""

    def __init__(self, harness: Harness) -> None:
        self._bed = harness

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        return self._bed.inventory.observe(utilisation=utilisation)

    def driver_info(self) -> DriverInfo:
        return self._bed.inventory.driver_info()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Change the umask within the block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@cache
def _loaded(text: str) -> Policy:
    """Return the policy of a text, cached: hundreds of harnesses use the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resource-limits.yaml"
        path.write_text(text)
        return load(path)


def _open_up(root: Path) -> None:
    """Make the parent directories accessible: pytest's are for their owner only."""
    root.mkdir(parents=True, exist_ok=True)
    for folder in (root, *root.parents):
        status = folder.stat()
        if status.st_uid == os.geteuid() and not status.st_mode & 0o001 and folder != Path("/"):
            folder.chmod(status.st_mode | 0o055)
