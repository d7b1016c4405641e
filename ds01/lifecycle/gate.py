"""The one object through which a container is created, started, stopped, removed. Plain data in, plain data out.

It derives who may do what itself, at each call; it prints nothing, asks nobody, and reads no environment.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import TypeVar

from ds01.engines.protocol import Attachment, EngineContainer, ExecRequest, Progress
from ds01.errors import Ds01Error, EngineAbsent, GpusUnreachable, NotFound, NotPossible, Refused, WrongUse
from ds01.gpus.model import GpuRequest, Refusal
from ds01.gpus.situation import slot_states
from ds01.lifecycle import create as creating
from ds01.lifecycle import emergency, manual
from ds01.lifecycle import extend as extending
from ds01.lifecycle import start as starting
from ds01.lifecycle import stop as stopping
from ds01.lifecycle import wait as waiting
from ds01.lifecycle.compose import docker_arguments
from ds01.lifecycle.emergency import Stopped
from ds01.lifecycle.judge import differs
from ds01.lifecycle.machine import State, Trigger
from ds01.lifecycle.reconcile import Change, glance, one, reconcile
from ds01.lifecycle.record import Record
from ds01.lifecycle.request import ContainerRequest
from ds01.lifecycle.views import (
    Acted,
    ContainerView,
    GpuRow,
    GpuStatus,
    LimitsView,
    Plan,
    Sized,
    UsageView,
    foreign_view,
    view,
)
from ds01.lifecycle.wait import QueueRow, Waited, Waiting, queue_rows
from ds01.lifecycle.world import World, is_manual, readable
from ds01.policy.model import Limits
from ds01.policy.names import container_name, fold_name, split_container_name
from ds01.policy.resolve import is_admin
from ds01.system.users import Account, Actor

T = TypeVar("T")


class Gate:
    """Containers and leases of one installation. Every method takes who acts, and raises Ds01Error."""

    def __init__(self, world: World) -> None:
        self._world = world

    # asking

    def containers(
        self, actor: Actor, *, owner: int | None = None, all_users: bool = False, everything: bool = False
    ) -> tuple[ContainerView, ...]:
        """Containers of `owner`, by default the actor's own; of `all_users` for everybody to see.

        `everything`: also removed and foreign ones. What changed behind ds01 is recorded first.
        """
        world = self._world
        uid = actor.uid if owner is None else owner
        listed = world.listed()
        by_id = {seen.id: seen for seen in listed}
        self._catch_up(actor, by_id, None if all_users else uid)
        records = [record for record in readable(world.ledger.read()) if not is_manual(record)]
        views = [self._view(record, by_id.get(record.docker_id or "")) for record in records]
        if everything:
            known = {record.docker_id for record in records}
            removed = [self._view(record) for record in world.ledger.removed()]
            views += removed + [foreign_view(seen) for seen in listed if seen.id not in known]
        mine = [item for item in views if all_users or item.uid == uid or (everything and item.uid is None)]
        return tuple(sorted(mine, key=lambda item: (item.state == State.REMOVED.value, item.user or "~", item.name)))

    def resolve(self, actor: Actor, reference: str, *, owner: int | None = None) -> str:
        """The full name of a container that the actor means: exact spelling first, then folded.

        Raises NotFound, also for somebody else's.
        """
        uid = actor.uid if owner is None else owner
        entries = self._world.ledger.read()
        for candidate in _spellings(reference, uid):
            entry = entries.get(candidate)
            if entry is not None and (not isinstance(entry, Record) or self._may(actor, entry.uid)):
                return candidate
        names = sorted(record.name for record in readable(entries) if record.uid == uid and not is_manual(record))
        raise NotFound(
            f"there is no container {reference}",
            why=f"yours are {', '.join(names)}" if names else "you have none",
            hint="`container-list` shows them" if names else "`container-deploy NAME` makes one",
        )

    def plan(self, actor: Actor, request: ContainerRequest) -> Plan:
        """What `create` would do, and whether it would be refused. Nothing is changed."""
        world = self._world
        self._check_owner(actor, request.owner)
        prepared = creating.prepare(world, actor, request, plan_only=True)
        found = creating.look(world, prepared, locked=False)
        entries = world.ledger.read()
        creating.check_name(prepared, found, entries)
        choice = creating.decide(world, prepared, found, entries)
        flags, warnings = self._as_flags(prepared.owner, prepared.limits.limits)
        there = prepared.image is not None
        if isinstance(choice, Refusal):
            return Plan(prepared.limits, there, choice, None, (), None, flags, warnings)
        slots = tuple(slot.ref for slot in choice.slots)
        if not there:
            return Plan(prepared.limits, there, None, choice.note, slots, None, flags, warnings)
        spec = creating.spec_of(world, prepared, creating.new_record(world, actor, prepared, choice))
        return Plan(
            prepared.limits, there, None, choice.note, slots, spec, tuple(docker_arguments(spec)), warnings
        )

    def limits(self, actor: Actor, *, owner: int | None = None) -> LimitsView:
        """A user's limits, for everybody to see."""
        world = self._world
        account = world.users.by_uid(actor.uid if owner is None else owner)
        resolved = world.limits(account)
        return LimitsView(resolved, *self._as_flags(account, resolved.limits))

    def processes(self, actor: Actor, container: str) -> int:
        """How many processes a stop would end; idle shells do not count."""
        return stopping.running_processes(self._world, self._record(actor, container))

    def sizes(self, actor: Actor, containers: tuple[str, ...]) -> tuple[Sized, ...]:
        """Containers with the bytes of their own layers."""
        found = []
        for name in containers:
            record = self._record(actor, name)
            seen = self._world.engine.inspect(record.docker_id, size=True) if record.docker_id else None
            found.append(Sized(self._view(record, seen), seen.size_bytes if seen else None))
        return tuple(found)

    def usage(self, actor: Actor, containers: tuple[str, ...], *, over: float = 0.25) -> tuple[UsageView, ...]:
        """What running containers use; CPU as the mean over `over` seconds."""
        world = self._world
        records = [self._record(actor, name) for name in containers]
        running = [record for record in records if record.state is State.RUNNING and record.docker_id]
        first = {record.id: world.engine.usage(record.docker_id or "") for record in running}
        world.sleep(over)
        views = []
        for record in running:
            before, now = first[record.id], world.engine.usage(record.docker_id or "")
            percent = None
            if before.cpu_nanoseconds is not None and now.cpu_nanoseconds is not None:
                percent = max(0.0, (now.cpu_nanoseconds - before.cpu_nanoseconds) / (over * 1e9) * 100)
            limits = record.resource_limits
            views.append(
                UsageView(
                    record.name, record.container_name, record.user, percent, limits.max_cpus,
                    now.memory_bytes, limits.memory or now.memory_limit_bytes, now.pids, limits.pids_limit,
                    self._view(record).gpus,
                )
            )
        return tuple(views)

    def image_is_there(self, actor: Actor, image: str) -> bool:
        """Whether the server has an image."""
        return self._world.engine.image(image) is not None

    def own_images(self, actor: Actor, *, owner: int | None = None) -> tuple[str, ...]:
        """The references of a user's own images, `ds01-UID/…`; the tags of containers are left out."""
        uid = actor.uid if owner is None else owner
        tags = [tag for image in self._world.engine.images() for tag in image.tags]
        return tuple(sorted(tag for tag in tags if tag.startswith(f"ds01-{uid}/") and "._." not in tag))

    def gpus(self, actor: Actor) -> GpuStatus:
        """All slots, and what stands on them, for everybody to see."""
        world = self._world
        listed = world.listed()
        if reconcile(world, listed):
            listed = world.engine.containers()
        observation = world.observe_gpus()
        entries = world.ledger.read()
        situation = world.situation(entries, observation, world.foreign(entries, listed))
        rows = tuple(GpuRow(**vars(row)) for row in slot_states(situation))
        return GpuStatus(rows, observation.gpus, observation.driver, observation.simulated)

    def gpu_models(self, actor: Actor) -> tuple[str, ...]:
        """The models of the server's GPUs; none if they cannot be asked."""
        try:
            return tuple(gpu.model for gpu in self._world.observe_gpus().gpus)
        except GpusUnreachable:
            return ()

    # transitions

    def create(self, actor: Actor, request: ContainerRequest) -> Acted:
        """Lease, and make the container; it does not run yet."""
        self._check_owner(actor, request.owner)
        record, warnings = self._told(actor, request.name, lambda: creating.create(self._world, actor, request))
        return Acted(self._view(record), warnings=warnings)

    def wait(
        self, actor: Actor, request: ContainerRequest, *, longest: timedelta | None = None
    ) -> Generator[Waited, None, None]:
        """Stand in the waiting line, and create when it is one's turn: each new position, at last the container.

        Closing it leaves the line. Raises NoGpuFree when `longest` is over.
        """
        self._check_owner(actor, request.owner)
        steps = waiting.wait(self._world, actor, request, longest)
        try:
            for step in steps:
                if isinstance(step, Waiting):
                    yield Waited(waiting=step)
                else:
                    yield Waited(acted=Acted(self._view(step[0]), warnings=step[1]))
        finally:
            steps.close()

    def queue(self, actor: Actor) -> tuple[QueueRow, ...]:
        """The waiting line, for everybody to see."""
        return queue_rows(self._world)

    def cancel_wait(self, actor: Actor, identity: str) -> None:
        """Take somebody out of the waiting line: oneself, or as an administrator anybody. Raises NotFound, Refused."""
        line = self._world.ledger.line()
        for waiter in line.waiters():
            if waiter.id == identity:
                self._check_owner(actor, waiter.uid)
        line.cancel(identity)

    def start(self, actor: Actor, container: str, *, recreate: bool = False) -> Acted:
        """Start a container; `recreate`: make it anew from its request first, on any slots."""
        with self._locked(actor, container, "started") as record:
            warnings: tuple[str, ...] = ()
            if recreate:
                record, warnings = self._told(
                    actor, record.name, lambda: starting.recreate(self._world, actor, record)
                )
            record, already = self._told(actor, record.name, lambda: starting.start(self._world, actor, record))
            return Acted(self._view(record), already, warnings)

    def stop(
        self, actor: Actor, container: str, *, grace: float | None = None, release: bool = False, keep: bool = False
    ) -> Acted:
        """Let the processes save for `grace` seconds (None: the policy's), then stop. `release`: the lease ends too."""
        with self._locked(actor, container, "stopped") as record:
            record, already = stopping.stop(
                self._world, actor, record, grace=grace, release=release, keep=keep
            )
            return Acted(self._view(record), already)

    def remove(
        self, actor: Actor, container: str, *, force: bool = False, grace: float | None = None, images: bool = False
    ) -> Acted:
        """Remove a container; `force`: a running one is stopped first. `images`: its image too, if the owner's own."""
        world = self._world
        with self._locked(actor, container, "removed") as record:
            stopping.check_running(record, force=force)
            if record.state is State.RUNNING:
                record, _ = stopping.stop(world, actor, record, grace=grace, release=True)
            record = stopping.remove(world, actor, record)
        warnings = self._remove_image(record) if images else ()
        return Acted(self._view(record), warnings=warnings)

    def extend(self, actor: Actor, container: str, duration: timedelta, *, reason: str | None = None) -> Acted:
        """Move the idle and the runtime deadline by `duration`, within the policy's max_extension."""
        with self._locked(actor, container, "extended") as record:
            return Acted(self._view(extending.extend(self._world, actor, record, duration, reason=reason)))

    def pause(self, actor: Actor, container: str) -> Acted:
        """Freeze all processes of a container; its lease stays."""
        with self._locked(actor, container, "paused") as record:
            record, already = starting.pause(self._world, actor, record)
            return Acted(self._view(record), already)

    def unpause(self, actor: Actor, container: str) -> Acted:
        """Let a paused container go on."""
        with self._locked(actor, container, "unpaused") as record:
            if record.state is not State.RUNNING:
                raise NotPossible(f"{record.name} is {record.state.value}, not paused")
            already = not record.paused
            return Acted(self._view(record if already else starting.resume(self._world, actor, record)), already)

    def release(self, actor: Actor, container: str) -> Acted:
        """Give a lease back, of a container that does not run, or one that was made by hand."""
        with self._locked(actor, container, "released", manual_too=True) as record:
            if is_manual(record):
                return Acted(self._view(manual.release(self._world, actor, record)))
            if record.lease is None:
                return Acted(self._view(record), already=True)
            return Acted(self._view(stopping.give_back(self._world, actor, record, why="released")))

    def allocate(
        self, actor: Actor, owner: int, name: str, request: GpuRequest, *, priority: int | None = None
    ) -> Acted:
        """Lease slots by hand, for administrators."""
        self._check_admin(actor)
        world = self._world
        account = world.users.by_uid(owner)
        try:
            full = container_name(name, owner)
        except ValueError as error:
            raise WrongUse(f"{name!r} is no container name", why=str(error)) from None
        limits = world.limits(account).limits
        given = Limits(**vars(limits) | {"priority": limits.priority if priority is None else priority})
        make = partial(manual.allocate, world, actor, account, name, request, given)
        with world.ledger.container_lock(full, doing=f"being allocated by {actor.login}"):
            return Acted(self._view(self._told(actor, name, make)))

    def mark(self, actor: Actor, container: str, trigger: Trigger) -> Acted:
        """Tell ds01 that a container was started or stopped; refused if Docker disagrees."""
        if trigger not in (Trigger.START, Trigger.STOP):
            raise WrongUse(f"a container cannot be marked with {trigger.value}")
        wanted = trigger is Trigger.START
        with self._locked(actor, container, "marked", manual_too=True) as record:
            if is_manual(record):
                return Acted(self._view(manual.mark(self._world, actor, record, trigger)))
            if (record.state is State.RUNNING) != wanted:
                raise NotPossible(
                    f"Docker says that {record.name} {'does not run' if wanted else 'runs'}",
                    hint=f"`container-{trigger.value} {record.name}` changes that",
                )
            return Acted(self._view(record), already=True)

    def reconcile(self, actor: Actor) -> tuple[Change, ...]:
        """Bring all records to what the engine says."""
        return tuple(reconcile(self._world, self._world.listed()))

    def emergency_stop(self, actor: Actor, *, owner: int | None = None, dry_run: bool = False) -> Stopped:
        """Stop all running containers, or those of `owner`, at once: no grace, no lock is waited for."""
        self._check_admin(actor)
        if dry_run:
            return Stopped(tuple(seen.name for seen in emergency.running(self._world, owner)))
        return emergency.stop_at_once(self._world, actor, owner)

    # streams

    def exec(self, actor: Actor, container: str, what: ExecRequest) -> Attachment:
        """Start a program in a running container, as its owner; `what.user` is overwritten."""
        record = self._record(actor, container)
        if record.state is not State.RUNNING or record.docker_id is None:
            raise NotPossible(f"{record.name} is {record.state.value}, not running")
        as_owner = ExecRequest(**vars(what) | {"user": f"{record.uid}:{record.gid}"})
        return self._world.engine.attach(record.docker_id, as_owner)

    def resize(self, actor: Actor, session: str, *, rows: int, columns: int) -> None:
        """Tell a program inside the size of its terminal."""
        self._world.engine.resize(session, rows=rows, columns=columns)

    def exit_code(self, actor: Actor, session: str) -> int | None:
        """The exit code of a program inside; None while it runs."""
        return self._world.engine.exit_code(session)

    def pull(self, actor: Actor, image: str) -> Iterator[Progress]:
        """Fetch an image; closing the iterator cancels."""
        return self._world.engine.pull(image)

    # who may, and where

    def is_admin(self, actor: Actor) -> bool:
        """Whether the actor may act for others."""
        world = self._world
        own = world.own and actor.uid == world.ledger.owner_uid
        return actor.uid == 0 or own or is_admin(world.policy, actor.login, actor.groups)

    def _may(self, actor: Actor, uid: int) -> bool:
        return actor.uid == uid or self.is_admin(actor)

    def _check_owner(self, actor: Actor, uid: int) -> None:
        if not self._may(actor, uid):
            raise Refused(
                f"{actor.login} may not act for uid {uid}",
                hint="only members of a group with `admin: true` act for others",
            )

    def _check_admin(self, actor: Actor) -> None:
        if not self.is_admin(actor):
            raise Refused("this is for administrators", hint="members of a group with `admin: true`, and root")

    def _record(self, actor: Actor, container: str) -> Record:
        """A record that was brought to what the engine says, unless a command is at work on it."""
        record = self._known(actor, container)
        if is_manual(record):
            return record
        self._world.ledger.check_engine(self._world.engine.facts().id)
        glance(self._world, container)
        return self._known(actor, container)

    def _known(self, actor: Actor, container: str) -> Record:
        entry = self._world.ledger.read().get(container)
        if entry is not None and not isinstance(entry, Record):
            reconcile(self._world, self._world.listed())
            entry = self._world.ledger.read().get(container)
        if not isinstance(entry, Record) or not self._may(actor, entry.uid):
            name = container.partition("._.")[0]
            raise NotFound(f"there is no container {name}", hint="`container-list` shows yours")
        return entry

    def _locked(self, actor: Actor, container: str, doing: str, *, manual_too: bool = False) -> _Locked:
        """A container under its lock; `manual_too`: also a lease that was made by hand, and has no container."""

        def find() -> Record:
            record = self._known(actor, container)
            if is_manual(record) and not manual_too:
                raise NotPossible(
                    f"{record.name} is a lease that was made by hand, without a container",
                    hint="`ds01 gpu release` ends it",
                )
            return record

        return _Locked(self._world, find, f"being {doing} by {actor.login}")

    def _catch_up(self, actor: Actor, by_id: dict[str, EngineContainer], uid: int | None) -> None:
        """Record what changed behind ds01, as far as the actor's own or everybody's containers go."""
        entries = self._world.ledger.read()
        mine = [record for record in readable(entries) if uid is None or record.uid == uid]
        changed = any(not is_manual(record) and differs(record, by_id.get(record.docker_id or "")) for record in mine)
        known = {record.docker_id for record in readable(entries)}
        strays = any(seen.id not in known and self._world.is_ours(seen) for seen in by_id.values())
        if changed or strays or len(readable(entries)) < len(entries):
            reconcile(self._world, list(by_id.values()))

    def _view(self, record: Record, seen: EngineContainer | None = None) -> ContainerView:
        limits = self._world.limits_of(record).limits
        return view(record, limits, self._world.policy.policies, seen)

    def _told(self, actor: Actor, name: str, act: Callable[[], T]) -> T:
        """Run `act`; a refusal is an event too."""
        try:
            return act()
        except Ds01Error as error:
            refusal = (error.data or {}).get("refusal")
            if refusal is not None:
                facts = {"actor": actor.login, "user": actor.login, "container": name, "why": refusal["rule"]}
                self._world.emit("refusal", facts | {"refusal": refusal})
            raise

    def _as_flags(self, account: Account, limits: Limits) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """An account's limits as Docker's flags, and what of them this server cannot give."""
        world = self._world
        facts = world.engine.facts()
        warnings = []
        if limits.max_cpus is not None and 0 < facts.cpus < limits.max_cpus:
            warnings.append(f"max_cpus is {limits.max_cpus:g}, this server has {facts.cpus}")
        if limits.memory is not None and 0 < facts.memory_bytes < limits.memory:
            warnings.append(f"memory is {limits.memory >> 20} MiB, this server has {facts.memory_bytes >> 20} MiB")
        return tuple(docker_arguments(creating.bare_spec(world, account))), tuple(warnings)

    def _remove_image(self, record: Record) -> tuple[str, ...]:
        """Take the image away that was asked for; what did not go is said."""
        world = self._world
        if not record.image.startswith(f"ds01-{record.uid}/"):
            return (f"the image {record.image} stays: it is not {record.user}'s own",)
        users = [other.name for other in readable(world.ledger.read()) if other.image == record.image]
        if users:
            return (f"the image {record.image} stays: {', '.join(users)} uses it",)
        try:
            world.engine.untag(record.image)
        except EngineAbsent:
            return ()
        except Ds01Error as error:
            return (f"the image {record.image} stays: {error.message}",)
        return ()


class _Locked(AbstractContextManager["Record"]):
    """A record under its container's lock, brought to what the engine says."""

    def __init__(self, world: World, find: Callable[[], Record], doing: str) -> None:
        self._world = world
        self._find = find
        self._doing = doing

    def __enter__(self) -> Record:
        record = self._find()
        self._lock = self._world.ledger.container_lock(record.container_name, doing=self._doing)
        self._lock.__enter__()
        try:
            if not is_manual(record):
                self._world.ledger.check_engine(self._world.engine.facts().id)
                one(self._world, record.container_name)
            return self._find()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(None, None, None)


def _spellings(reference: str, uid: int) -> Iterator[str]:
    if split_container_name(reference) is not None:
        yield reference
    for spell in (lambda text: text, lambda text: fold_name(text)[0]):
        try:
            yield container_name(spell(reference), uid)
        except ValueError:
            continue
