"""What the gate works on: the ledger, the engine, the GPUs, the policy, the clock. And what these say together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ds01.engines.protocol import Engine, EngineContainer, EngineFacts
from ds01.errors import Ds01Error, EngineConflict, EngineRejected, GpusUnreachable, NotFound
from ds01.gpus.inventory import LIBRARY_NOT_FOUND, Inventory
from ds01.gpus.model import Blocker, Holding, Observation
from ds01.gpus.naming import all_called, first_name, is_silent
from ds01.journal.events import Emit
from ds01.lifecycle.snapshot import labels
from ds01.lifecycle.snapshot.gpu_processes import has_hidden, with_names
from ds01.lifecycle.snapshot.owners import Owners
from ds01.placement.occupancy import labelled_devices, labelled_uuids, outside_use
from ds01.placement.situation import Situation
from ds01.policy.identity import identify, reservations
from ds01.policy.model import Automation, Limits, Policy, Reservation, UserLimits
from ds01.policy.resolve import automation_of, is_admin, resolve
from ds01.records.deadlines import hold_duration, lease_ends
from ds01.records.ledger import Ledger, Unreadable
from ds01.records.machine import State
from ds01.records.record import Origin, Record, Step
from ds01.records.store.memory import Memory
from ds01.system import host_ports
from ds01.system.clock import Clock, Sleep
from ds01.system.users import Account, Users

Entries = Mapping[str, Record | Unreadable]


@dataclass
class World:
    """`own`: the state folder is one's own. `inject`: leased devices are given to the engine.

    `load_policy` reads today's policy; None: `policy` counts as long as this object lives.
    """

    ledger: Ledger
    engine: Engine
    inventory: Inventory
    policy: Policy
    users: Users
    clock: Clock
    emit: Emit
    sleep: Sleep
    own: bool
    inject: bool
    load_policy: Callable[[], Policy] | None = None
    port_is_free: Callable[[int], bool] = host_ports.is_free
    _reservations: tuple[Policy, tuple[Reservation, ...]] | None = field(default=None, init=False)
    _limits: dict[tuple[int, str], UserLimits] = field(default_factory=dict)
    memory: Memory | None = None  # what the tick remembers; read when it is needed
    _owners: Owners | None = field(default=None, init=False)
    _facts: EngineFacts | None = field(default=None, init=False)  # of the last look at all containers
    _not_inspected: set[str] = field(default_factory=set, init=False)  # of which an event was written
    _looked: bool = field(default=False, init=False)  # whether all containers were listed with these facts

    def refresh_policy(self) -> None:
        """Read the policy again. Raises PolicyUnreadable.

        Called before anything is decided: a pull, a build or a wait may have taken hours since the last look.
        """
        if self.load_policy is not None:
            self.policy = self.load_policy()
            self._limits.clear()
            self.users.forget()

    def limits(self, account: Account) -> UserLimits:
        """What today's policy gives an account."""
        known = identify(self.policy, account, self.users)
        return resolve(self.policy, known.login, known.groups, self.clock(), spellings=known.spellings)

    def is_admin(self, uid: int, login: str) -> bool:
        """Return whether the policy makes this user an administrator."""
        try:
            known = identify(self.policy, self.users.by_uid(uid), self.users)
        except NotFound:
            return is_admin(self.policy, login, ())
        return is_admin(self.policy, known.login, known.groups, spellings=known.spellings)

    def limits_of(self, record: Record) -> UserLimits:
        """Return what today's policy gives the owner of a record, who may be missing in the user database.

        Kept for the life of this object, a command: the user database is not asked under the ledger's lock, where
        somebody whose record is new since the last look has the limits that it was made with.
        """
        key = (record.uid, record.group)
        if key not in self._limits and self.ledger.is_locked:
            return UserLimits(record.user, record.group, False, record.resource_limits, {})
        if key not in self._limits:
            self._limits[key] = self.owners.limits_of(record, self.clock())
        return self._limits[key]

    @property
    def owners(self) -> Owners:
        """What the user database and today's policy say of the owners of records, asked once."""
        if self.memory is None:
            self.memory = self.ledger.tick_memory()
        owners = self._owners
        if owners is None or owners.made_from != (id(self.policy), id(self.users), id(self.memory)):
            self._limits = {}
            self._owners = owners = Owners(self.policy, self.users, self.memory)
        return owners

    def rules_of(self, record: Record) -> tuple[Limits, Automation]:
        """The limits of a record's owner, and the rules of the automation for them: what its deadlines come from."""
        known = self.limits_of(record)
        return known.limits, automation_of(self.policy, known)

    def ask_owners(self, entries: Entries) -> None:
        """Look up what the owners of all leases may have, so that nobody has to under the ledger's lock."""
        self.reservations()
        for record in readable(entries):
            if record.lease is not None:
                self.limits_of(record)

    def reservations(self) -> tuple[Reservation, ...]:
        """Return the policy's reservations, with the logins as the server spells them."""
        if self._reservations is None or self._reservations[0] is not self.policy:
            self._reservations = (self.policy, reservations(self.policy, self.users))
        return self._reservations[1]

    def open_reservations(self) -> tuple[Reservation, ...]:
        """Return the reservations that are not over, the next first."""
        now = self.clock()
        coming = [item for item in self.reservations() if now < item.end]
        return tuple(sorted(coming, key=lambda item: (item.start, item.end)))

    def hold_of(self, record: Record) -> timedelta | None:
        """How long the record's container keeps its lease once it is stopped; None: for ever."""
        return hold_duration(record, self.limits_of(record).limits)

    def listed(self) -> list[EngineContainer]:
        """All containers, after it was made sure that this is the engine of last time. Raises EngineUnreachable."""
        self._facts = self.engine.facts()
        recorded = self.ledger.docker_ids()  # before the list: what is made meanwhile is not missing from it
        found = self.engine.containers()
        listed = {container.id for container in found}
        self.ledger.check_engine(self._facts, listed=listed, recorded=recorded, now=self.clock())
        self._looked = True
        return found

    def check_engine(self) -> None:
        """Make sure that this is the engine of last time, before a question about one container. As `listed`."""
        self._facts = self.engine.facts()
        self._looked = False
        if not self.ledger.is_same_engine(self._facts):
            self.listed()

    def confirm_absence(self) -> None:
        """Make sure that what the engine does not have has vanished alone, and not all that is known. As `listed`."""
        if not self._looked:
            self.listed()

    def engine_facts(self) -> EngineFacts:
        """What the engine said of itself at the last look at all containers; without one it is asked.

        After a restart many containers are judged by it, and asking for each would double what a look costs.
        """
        return self._facts or self.engine.facts()

    def observe_gpus(self, *, utilisation: bool = False) -> Observation:
        """Return the GPUs; none on a server that has no NVIDIA driver and shows no sign of a GPU.

        The library is missing for a moment while a driver's package is replaced, and a driver finds no GPU once all
        have failed: that is no server without GPUs.
        `utilisation` adds how busy MIG instances are, which takes time; nobody who allocates should wait for it.
        Raises GpusUnreachable.
        """
        try:
            seen = self.inventory.observe(utilisation=utilisation)
        except GpusUnreachable as error:
            data = error.data or {}
            if data.get("problem") != LIBRARY_NOT_FOUND:
                raise
            sign = sign_of_gpus(self.ledger.read(), data.get("cards", 0))
            if sign is None:
                return Observation((), (), "none")
            raise GpusUnreachable(
                error.message,
                why=f"there is no libnvidia-ml.so.1, although {sign}",
                hint="if the driver is being updated, try again in a minute; else an administrator installs it again. "
                "--cpu-only needs no GPU",
                data=data,
            ) from error
        if not seen.gpus and not seen.simulated and (sign := sign_of_gpus(self.ledger.read(), 0)) is not None:
            raise GpusUnreachable(
                "The driver finds no GPU.",
                why=f"NVML answers and lists none, although {sign}",
                hint="`nvidia-smi` and the kernel's log say more to an administrator. --cpu-only needs no GPU",
                data={"problem": "no_devices"},
            )
        if has_hidden(seen):
            seen = with_names(seen, self.ledger.gpu_processes(), self.clock())
        return seen

    def is_ours(self, container: EngineContainer) -> bool:
        """Whether the labels are this container's own, set by this installation.

        The user database is not asked: that an owner is renamed, deleted or not found now does not make the container
        somebody else's.
        """
        return labels.are_own(container, self.ledger.installation)

    def unrecorded(self, entries: Entries, listed: Iterable[EngineContainer]) -> list[EngineContainer]:
        """Our containers whose records were lost, or cannot be read."""
        records = readable(entries)
        ids = {record.docker_id for record in records}
        known = {record.id for record in records}
        names = {record.container_name for record in records}
        return [
            seen
            for seen in listed
            if seen.id not in ids
            and seen.name not in names  # it is in use from outside
            and self.is_ours(seen)
            and seen.labels["ds01.id"] not in known  # one that is just being made
            and not self.is_copy(seen, entries)
        ]

    def is_copy(self, container: EngineContainer, entries: Entries, *, name: str | None = None) -> bool:
        """Whether a container has the labels of another one: it was made by hand from a committed image.

        `name`: the full name in its labels, if it is not called so.
        """
        identity = container.labels.get("ds01.id")
        others = (*readable(entries), *self.ledger.removed_as(name or container.name))
        return any(other.id == identity and other.docker_id not in (None, container.id) for other in others)

    def cannot_inspect(self, container: EngineContainer | str, error: Ds01Error) -> None:
        """Write an event about a container that the engine cannot look at; once in the life of this object."""
        name = container if isinstance(container, str) else container.name or container.id
        if name not in self._not_inspected:
            self._not_inspected.add(name)
            entry = self.ledger.read().get(name)
            user = entry.user if isinstance(entry, Record) else None
            facts = {"actor": "observed", "container": name, "user": user}
            self.emit("not_inspected", facts | {"why": f"{error.message}: {error.why}" if error.why else error.message})

    def holdings(self, entries: Entries, observation: Observation | None = None) -> list[Holding]:
        """Return the leases of all records as the allocator sees them."""
        return [self._holding(record, observation) for record in readable(entries) if record.lease is not None]

    def situation(self, entries: Entries, observation: Observation, foreign: list[EngineContainer]) -> Situation:
        """What a choice depends on. `foreign` is the answer of `foreign`."""
        records = readable(entries)
        explained = {
            record.docker_id: tuple(ref.uuid for ref in record.lease.slots) if record.lease else ()
            for record in records
            if record.docker_id
        }
        claimed = {
            uuid: container.name
            for container in foreign
            if container.id not in explained and self.is_ours(container)
            for uuid in labelled_uuids(container.labels)
        }
        # Those that run without a lease on the devices that they have: started behind ds01, and still there.
        started = {container.id for container in foreign}
        claimed |= {
            ref.uuid: record.name
            for record in records
            if record.conflict or (record.lease is None and record.docker_id in started)
            for ref in record.gpus_fixed
        }
        if observation.simulated and not self.inject:
            foreign = [seen for seen in foreign if not _has_other_gpus(seen, self.ledger.installation)]
        blockers = outside_use(observation, foreign, leased=explained, claimed=claimed, outside=self.policy.outside)
        blockers |= _unknown_leases(entries, observation, {container.name for container in foreign}, blockers)
        return Situation(
            observation=observation,
            occupancy=blockers,
            leases=self.holdings(entries, observation),
            now=self.clock(),
            reservations=self.reservations(),
            allocation=self.policy.gpu_allocation,
        )

    def foreign(self, entries: Entries, listed: Iterable[EngineContainer]) -> list[EngineContainer]:
        """The containers that no readable record explains, inspected where they run and could use a GPU.

        Also those of ours that run, and whose record does not know it yet, without detail: a command is at work on
        them, or they cannot be inspected.
        """
        records = {record.docker_id: record for record in readable(entries)}
        pending = {record.id for record in readable(entries) if record.docker_id is None}
        found = []
        for container in listed:
            record = records.get(container.id)
            if record is not None:
                if container.status.runs and record.state is not State.RUNNING:
                    found.append(container)
            elif container.labels.get("ds01.id") not in pending:
                detail = self._inspected(container) if container.status.runs else container
                if detail is not None:
                    found.append(detail)
        return found

    def _inspected(self, container: EngineContainer) -> EngineContainer | None:
        """A running container with its detail. One that cannot be inspected has the devices that its labels name.

        What it may have beyond these is unknown. If that counted as use, one broken container would take every GPU of
        the server out of service; a GPU on which it really has a process is found by NVML, and is in use.
        """
        try:
            return self.engine.inspect(container.id)
        except (EngineRejected, EngineConflict) as error:
            self.cannot_inspect(container, error)
            return replace(container, devices=labelled_devices(container.labels))

    def report(self, record: Record, steps: Iterable[Step], **more: Any) -> None:
        """Emit the event of each transition."""
        for step in steps:
            self.emit(
                "transition",
                {
                    "actor": step.actor,
                    "container": record.container_name,
                    "user": record.user,
                    "why": step.why,
                    "trigger": step.trigger,
                    "from": step.source,
                    "to": step.to,
                    "at": step.at,
                    "gpus": [ref.slot for ref in record.gpus_fixed],
                }
                | more,
            )

    def _holding(self, record: Record, observation: Observation | None) -> Holding:
        assert record.lease is not None
        slots = record.lease.slots
        return Holding(
            container=record.container_name,
            user=record.user,
            uid=record.uid,
            slots=tuple(ref.slot for ref in slots),
            uuids=tuple(ref.uuid for ref in slots),
            # What a lease by hand has was said with it; a container's owner has what today's policy gives.
            priority=(record.resource_limits if is_manual(record) else self.limits_of(record).limits).priority,
            since=record.lease.since,
            until=lease_ends(record, *self.rules_of(record)),
            held=record.state is State.HELD,
            by_hand=is_manual(record),
            first_names=tuple(first_name(ref) for ref in slots),
            silent=tuple(ref.uuid for ref in slots if observation and is_silent(ref, observation)),
        )


def _has_other_gpus(seen: EngineContainer, installation: str) -> bool:
    """Whether the GPUs of a real Docker's container are none of these simulated ones: all of the server's, or those of
    another demo or test, which are called the same.
    """
    everything = seen.devices is not None and seen.devices.everything
    return everything or seen.labels.get("ds01.installation", installation) != installation


def sign_of_gpus(entries: Entries, cards: int) -> str | None:
    """Return what shows that this server has GPUs although its driver is missing, in words; None if nothing does."""
    if cards:
        return f"{cards} NVIDIA card{' is' if cards == 1 else 's are'} on the PCI bus"
    for name, entry in sorted(entries.items()):
        if isinstance(entry, Unreadable):
            return f"the record of {name} cannot be read and may have a GPU"
        refs = entry.lease.slots if entry.lease is not None else entry.gpus_fixed
        if refs:
            return f"{entry.name} of {entry.user} has GPU {all_called(refs)}"
    return None


def _unknown_leases(
    entries: Entries, observation: Observation, labelled: Collection[str], blockers: Mapping[str, Blocker]
) -> dict[str, Blocker]:
    """What any slot may be used by while a record cannot be read, unless the labels of its container say which."""
    for entry in entries.values():
        if isinstance(entry, Unreadable) and not entry.corrupt and entry.container_name not in labelled:
            unknown = Blocker("unknown", f"the record of {entry.container_name} cannot be read: {entry.why}")
            return {slot.slot: unknown for slot in observation.slots if slot.slot not in blockers}
    return {}


def readable(entries: Entries) -> list[Record]:
    """The records that could be read."""
    return [entry for entry in entries.values() if isinstance(entry, Record)]


def is_manual(record: Record) -> bool:
    """Whether no container stands behind the record."""
    return record.origin is Origin.MANUAL


def taken_uuids(entries: Entries, *, but: str) -> set[str]:
    """The UUIDs that all records but one have leased."""
    return {
        ref.uuid
        for record in readable(entries)
        if record.lease is not None and record.container_name != but
        for ref in record.lease.slots
    }
