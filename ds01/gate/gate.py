"""The one object through which a container is created, started, stopped, removed. Plain data in, plain data out.

It derives who may do what itself, at each call; it prints nothing, asks nobody, and reads no environment.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import TypeVar

from ds01.engines.protocol import Attachment, EngineContainer, ExecRequest, Progress
from ds01.errors import Ds01Error, EngineConflict, EngineRejected, NotFound, NotPossible, Refused, WrongUse
from ds01.gate import images
from ds01.gate import wait as waiting
from ds01.gate.asking import Asking, spellings
from ds01.gate.views import Acted, AimeView, ContainerView, Ending, LimitsView, Plan, aime_view, foreign_view
from ds01.gate.wait import QueueRow, Waited, Waiting, queue_rows
from ds01.gpus.model import GpuRequest, Refusal
from ds01.lifecycle import adopt as adopting
from ds01.lifecycle import anew, emergency, manual
from ds01.lifecycle import create as creating
from ds01.lifecycle import exec as executing
from ds01.lifecycle import extend as extending
from ds01.lifecycle import start as starting
from ds01.lifecycle import stop as stopping
from ds01.lifecycle.context.wait_queue import waiters
from ds01.lifecycle.emergency import Stopped
from ds01.lifecycle.limits import limits_for_engine
from ds01.lifecycle.prepare import prepare
from ds01.lifecycle.reconciliation.change import Change
from ds01.lifecycle.reconciliation.reconcile import one, reconcile
from ds01.lifecycle.refusals import error_of
from ds01.lifecycle.spec.aime import is_marked, left_inside, owner_of
from ds01.lifecycle.spec.compose import limits_of
from ds01.lifecycle.stop import Saving
from ds01.placement.situation import Requester, is_for
from ds01.policy.model import Limits
from ds01.policy.names import container_name
from ds01.records.entries import is_manual, readable
from ds01.records.line import Waiter
from ds01.records.machine import State, Trigger
from ds01.records.record import Record
from ds01.records.request import BuildRequest, ContainerRequest
from ds01.system.users import Actor

T = TypeVar("T")


class Gate(Asking):
    """Containers and leases of one installation. Every method takes who acts, and raises Ds01Error."""

    # asking

    def plan(self, actor: Actor, request: ContainerRequest, *, attempt: bool = False, waits: bool = False) -> Plan:
        """What `create` would do, and whether it would be refused. Nothing is changed.

        `attempt`: it is asked before a create, so that nothing is fetched for what is refused: a refusal is an event,
        unless it is temporary and somebody `waits`.
        """
        self.check_owner(actor, request.owner)
        if not attempt:
            return self._plan(actor, request)
        with self._told(actor, _full(request), request.owner):
            plan = self._plan(actor, request)
        if plan.refusal is not None and not (waits and plan.refusal.temporary):
            self._emit_refusal(actor, _full(request), request.owner, error_of(plan.refusal))
        return plan

    def _plan(self, actor: Actor, request: ContainerRequest) -> Plan:
        context = self._context
        context.rules.refresh()
        prepared = prepare(context, actor, request, plan_only=True)
        snapshot, driver = creating.observe(context, prepared, locked=False)
        creating.check_name(prepared, snapshot, snapshot.records)
        choice = creating.decide(context, prepared, snapshot, driver, snapshot.records)
        limits, warnings = limits_for_engine(context, prepared.owner, prepared.limits)
        there = prepared.image is not None
        arguments = limits.docker_arguments
        if isinstance(choice, Refusal):
            return Plan(prepared.limits, there, choice, None, (), None, arguments, warnings)
        slots = tuple(slot.ref for slot in choice.slots)
        if not there:
            return Plan(prepared.limits, there, None, choice.note, slots, None, arguments, warnings)
        ports = creating.choose_ports(context, prepared, snapshot.records)
        record = creating.new_record(context, actor, prepared, choice, ports)
        spec = creating.spec_of(context, prepared, record, creating.owner_groups(prepared))
        return Plan(prepared.limits, there, None, choice.note, slots, spec, limits_of(spec).docker_arguments, warnings)

    def limits(self, actor: Actor, *, owner: int | None = None) -> LimitsView:
        """A user's limits, for everybody to see."""
        context = self._context
        account = context.users.by_uid(actor.uid if owner is None else owner)
        resolved = context.rules.limits(account)
        who = Requester(account.login, account.uid, resolved.group, None)
        reserved = tuple(item for item in context.rules.open_reservations() if is_for(item, who))
        limits, warnings = limits_for_engine(context, account, resolved)
        return LimitsView(resolved, limits.docker_arguments, warnings, reserved)

    def processes(self, actor: Actor, container: str) -> int:
        """How many processes a stop would end; idle shells do not count."""
        return stopping.running_processes(self._context, self._record(actor, container))

    def as_aime(
        self, actor: Actor, *, owner: int | None = None, all_users: bool = False, sizes: bool = False
    ) -> tuple[AimeView, ...]:
        """Containers as AIME's tools list them, those included that they made and nobody adopted.

        `sizes`: with the bytes of their own layers, for which Docker may take seconds.
        """
        listing = self.listing(actor, owner=owner, all_users=all_users)
        views = []
        for container in listing.containers:
            seen = self._inspected(container.docker_id or "", sizes=sizes)
            if seen is not None:
                views.append(aime_view(container, seen, adoptable=False))
        for name in listing.adoptable:
            seen = self._inspected(name, sizes=sizes)
            if seen is not None:
                views.append(aime_view(foreign_view(seen), seen, adoptable=True))
        return tuple(views)

    def _inspected(self, reference: str, *, sizes: bool) -> EngineContainer | None:
        """A container with its detail; as the list shows it if it cannot be inspected."""
        try:
            return self._context.engine.inspect(reference, size=sizes)
        except (EngineConflict, EngineRejected):
            listed = self._context.engine.containers()
            return next((seen for seen in listed if reference in (seen.id, seen.name)), None)

    def find_adoptable(self, actor: Actor, reference: str, *, owner: int | None = None) -> str:
        """The full name of a container that AIME's tools made, and no record knows. Raises NotFound."""
        uid = actor.uid if owner is None else owner
        known = {record.docker_id for record in readable(self._context.ledger.read())}
        # One by its full name, whosever it is: `adopt` says why it may not be taken over.
        names = {seen.name for seen in self._context.observer.containers() if is_marked(seen) and seen.id not in known}
        for candidate in spellings(reference, uid):
            if candidate in names:
                return candidate
        raise NotFound(
            f"there is no container {reference} of AIME's tools", hint="`container-list` names those that there are"
        )

    def inside(self, actor: Actor, container: str) -> int:
        """How many processes are left in a container besides its first; open shells count."""
        record = self._record(actor, container)
        if record.docker_id is None or record.state is not State.RUNNING or record.paused:
            return 0
        return left_inside(self._context.engine.processes(record.docker_id))

    # transitions

    def adopt(self, actor: Actor, container: str, *, ending: bool = False) -> Acted:
        """Take over a container that AIME's tools made, given by its full name.

        `ending`: it is about to be stopped, and need not get the GPUs that it has.
        """
        context = self._context
        seen = adopting.listed_as(context, container)
        record = adopting.record_of(context.ledger.read(), seen)
        if not self._may(actor, owner_of(seen, context.users) if record is None else record.uid):
            raise NotFound(f"there is no container {container} of yours", hint="`container-list` shows yours")
        with context.ledger.container_lock(seen.name, doing=f"being adopted by {actor.login}"):
            uid = None if record is None else record.uid
            context.rules.refresh()
            with self._told(actor, seen.name, uid):
                record, already, warnings = adopting.adopt(context, actor, seen, ending=ending)
        return Acted(self._view(record), already, warnings)

    def create(self, actor: Actor, request: ContainerRequest) -> Acted:
        """Lease, and make the container; it does not run yet."""
        self.check_owner(actor, request.owner)
        with self._told(actor, _full(request), request.owner):
            made = creating.create(self._context, actor, request)
        return Acted(self._view(made.record), warnings=made.warnings)

    def wait(
        self, actor: Actor, request: ContainerRequest, *, longest: timedelta | None = None
    ) -> Generator[Waited, None, None]:
        """Stand in the waiting line, and create when it is one's turn: each new position, at last the container.

        Closing it leaves the line. Raises NoGpuFree when `longest` is over.
        """
        self.check_owner(actor, request.owner)
        owner = self._context.users.by_uid(request.owner)
        attempt = waiting.create_attempt(self._context, actor)
        steps = waiting.wait(self._context, owner, _full(request), request, longest, attempt)
        try:
            with self._told(actor, _full(request), request.owner):
                for step in steps:
                    if isinstance(step, Waiting):
                        yield Waited(waiting=step)
                    else:
                        yield Waited(acted=Acted(self._view(step.record), warnings=step.warnings))
        finally:
            steps.close()

    def queue(self, actor: Actor) -> tuple[QueueRow, ...]:
        """The waiting line, for everybody to see."""
        return queue_rows(self._context)

    def cancel_wait(self, actor: Actor, identity: str) -> None:
        """Take somebody out of the waiting line: oneself, or as an administrator anybody. Raises NotFound, Refused."""
        for waiter in waiters(self._context):
            if waiter.id == identity and actor.uid != waiter.by:
                self.check_owner(actor, waiter.uid)
        self._context.ledger.line().cancel(identity)

    def start(self, actor: Actor, container: str, *, recreate: bool = False) -> Acted:
        """Start a container; `recreate`: make it again from its request first, on any slots."""
        with self._locked(actor, container, "started") as record:
            return self._start(actor, record, recreate=recreate)

    def wait_to_start(
        self, actor: Actor, container: str, *, recreate: bool = False, longest: timedelta | None = None
    ) -> Generator[Waited, None, None]:
        """Wait in the queue, and start when it is one's turn: each new position, at last the container.

        Without `recreate` it is the container's own slots that are waited for. Closing it leaves the queue. Raises
        NoGpuFree when `longest` is over.
        """
        record = self._record(actor, container)
        if is_manual(record):
            raise _by_hand(record)

        def attempt(waiter: Waiter, *, first: bool) -> Acted:
            with self._locked_quietly(actor, container, "started") as found:
                return self._start(actor, found, recreate=recreate, waiting_as=waiter.id)

        owner = self._context.users.by_uid(record.uid)
        request = starting.request_of(record, recreate=recreate)
        steps = waiting.wait(self._context, owner, record.container_name, request, longest, attempt)
        try:
            with self._told(actor, record.container_name, record.uid):
                for step in steps:
                    yield Waited(waiting=step) if isinstance(step, Waiting) else Waited(acted=step)
        finally:
            steps.close()

    def _start(self, actor: Actor, record: Record, *, recreate: bool, waiting_as: str | None = None) -> Acted:
        warnings: tuple[str, ...] = ()
        if recreate:
            record, warnings = anew.recreate(self._context, actor, record, waiting_as=waiting_as)
        record, already = starting.start(self._context, actor, record, waiting_as=waiting_as)
        return Acted(self._view_of_running(record), already, warnings)

    def remake(self, actor: Actor, container: str, *, grace: float | None = None) -> Acted:
        """Make a container anew from its request, on the slots that it has; one that ran is stopped, and runs again.

        For an image that was built again. The workspace stays; what was put elsewhere inside goes.
        """
        with self._locked(actor, container, "made anew") as record:
            record, warnings = anew.remake(self._context, actor, record, grace=grace)
            return Acted(self._view_of_running(record), warnings=warnings)

    def stop(
        self, actor: Actor, container: str, *, grace: float | None = None, release: bool = False, keep: bool = False
    ) -> Acted:
        """Let the processes save for `grace` seconds (None: the policy's), then stop. `release`: the lease ends too."""
        return _acted(self.stop_steps(actor, container, grace=grace, release=release, keep=keep))

    def stop_steps(
        self, actor: Actor, container: str, *, grace: float | None = None, release: bool = False, keep: bool = False
    ) -> Generator[Ending, None, None]:
        """Stop as `stop` does: each change of who may still save, at last the outcome.

        Closing it lets the container go on, with the processes that have not ended yet.
        """
        with self._locked(actor, container, "stopped") as record:
            steps = stopping.stop_steps(self._context, actor, record, grace=grace, release=release, keep=keep)
            record, already = yield from _savings(steps)
            acted = Acted(self._view(record), already)
        yield Ending(acted=acted)

    def remove(
        self, actor: Actor, container: str, *, force: bool = False, grace: float | None = None, images: bool = False
    ) -> Acted:
        """Remove a container; `force`: a running one is stopped first. `images`: its image too, if the owner's own."""
        return _acted(self.remove_steps(actor, container, force=force, grace=grace, images=images))

    def remove_steps(
        self, actor: Actor, container: str, *, force: bool = False, grace: float | None = None, images: bool = False
    ) -> Generator[Ending, None, None]:
        """Remove as `remove` does: each change of who may still save, at last the outcome.

        Closing it lets the container go on, with the processes that have not ended yet.
        """
        context = self._context
        with self._locked(actor, container, "removed", broken_too=True) as record:
            stopping.check_running(record, force=force)
            if record.state is State.RUNNING:
                steps = stopping.stop_steps(context, actor, record, grace=grace, release=True)
                record, _ = yield from _savings(steps)
            record = stopping.remove(context, actor, record)
        warnings = self._remove_image(actor, record) if images else ()
        yield Ending(acted=Acted(self._view(record), warnings=warnings))

    def extend(self, actor: Actor, container: str, duration: timedelta, *, reason: str | None = None) -> Acted:
        """Move the idle and the runtime deadline by `duration`, within the policy's max_extension."""
        with self._locked(actor, container, "extended") as record:
            return Acted(self._view(extending.extend(self._context, actor, record, duration, reason=reason)))

    def pause(self, actor: Actor, container: str) -> Acted:
        """Freeze all processes of a container; its lease stays."""
        with self._locked(actor, container, "paused") as record:
            record, already = starting.pause(self._context, actor, record)
            return Acted(self._view(record), already)

    def unpause(self, actor: Actor, container: str) -> Acted:
        """Let a paused container go on."""
        with self._locked(actor, container, "unpaused") as record:
            if record.state is not State.RUNNING:
                raise NotPossible(f"{record.name} is {record.state.value}, not paused")
            already = not record.paused
            return Acted(self._view(record if already else starting.resume(self._context, actor, record)), already)

    def release(self, actor: Actor, container: str) -> Acted:
        """Give a lease back, of a container that does not run, or one that was made by hand."""
        with self._locked(actor, container, "released", manual_too=True) as record:
            if is_manual(record):
                return Acted(self._view(manual.release(self._context, actor, record)))
            if record.lease is None:
                return Acted(self._view(record), already=True)
            return Acted(self._view(stopping.give_back(self._context, actor, record, why="released")))

    def allocate(
        self, actor: Actor, owner: int, name: str, request: GpuRequest, *, priority: int | None = None
    ) -> Acted:
        """Lease slots by hand, for administrators."""
        context = self._context
        context.rules.refresh()
        self._check_admin(actor)
        account = context.users.by_uid(owner)
        try:
            full = container_name(name, owner)
        except ValueError as error:
            raise WrongUse(f"{name!r} is not a container name", why=str(error)) from None
        limits = context.rules.limits(account).limits
        given = Limits(**vars(limits) | {"priority": limits.priority if priority is None else priority})
        doing = f"being allocated by {actor.login}"
        with self._told(actor, full, owner), context.ledger.container_lock(full, doing=doing):
            return Acted(self._view(manual.allocate(context, actor, account, name, request, given)))

    def mark(self, actor: Actor, container: str, trigger: Trigger) -> Acted:
        """Tell ds01 that a container was started or stopped; refused if Docker disagrees."""
        if trigger not in (Trigger.START, Trigger.STOP):
            raise WrongUse(f"a container cannot be marked with {trigger.value}")
        wanted = trigger is Trigger.START
        with self._locked(actor, container, "marked", manual_too=True) as record:
            if is_manual(record):
                return Acted(self._view(manual.mark(self._context, actor, record, trigger)))
            if (record.state is State.RUNNING) != wanted:
                raise NotPossible(
                    f"Docker says that {record.name} {'does not run' if wanted else 'runs'}",
                    hint=f"`container-{trigger.value} {record.name}` changes that",
                )
            return Acted(self._view(record), already=True)

    def reconcile(self, actor: Actor) -> tuple[Change, ...]:
        """Bring all records to what the engine says."""
        return tuple(reconcile(self._context, self._context.observer.containers()))

    def emergency_stop(self, actor: Actor, *, owner: int | None = None, dry_run: bool = False) -> Stopped:
        """Stop all running containers, or those of `owner`, at once: no grace, no lock is waited for."""
        self._check_admin(actor)
        if dry_run:
            return Stopped(tuple(seen.name for seen in emergency.running(self._context, owner)))
        return emergency.stop_at_once(self._context, actor, owner)

    # streams

    def exec(self, actor: Actor, container: str, what: ExecRequest, *, root: bool = False) -> Attachment:
        """Start a program in a running container, as its owner; `what.user` is overwritten.

        `root`: as uid 0 of the container instead. Raises Refused where the policy's `root_inside` forbids that.
        """
        record = self._record(actor, container)
        if record.state is not State.RUNNING or record.docker_id is None:
            raise NotPossible(f"{record.name} is {record.state.value}, not running")
        return self._context.engine.attach(
            record.docker_id, executing.exec_request(self._context, record, what, root=root)
        )

    def resize(self, actor: Actor, session: str, *, rows: int, columns: int) -> None:
        """Tell a program inside the size of its terminal."""
        self._context.engine.resize(session, rows=rows, columns=columns)

    def signal(self, actor: Actor, session: str, number: int) -> bool:
        """Send a signal to a program inside; False if it could not be, and the program goes on."""
        return self._context.engine.signal(session, number)

    def exit_code(self, actor: Actor, session: str) -> int | None:
        """The exit code of a program inside; None while it runs."""
        return self._context.engine.exit_code(session)

    def pull(self, actor: Actor, image: str) -> Generator[Progress, None, None]:
        """Fetch an image; closing the iterator cancels."""
        return self._context.engine.pull(image)

    def build(
        self, actor: Actor, request: BuildRequest, build_context: Iterable[bytes]
    ) -> Generator[Progress, None, None]:
        """Build `ds01-OWNER/NAME:latest` from a tar archive, under the owner's limits and in the owner's slice.

        The name keeps its image until the new one is whole; closing the generator cancels. Checks are made at the
        first step. GPUs are nobody's in a build, but a base image with `NVIDIA_VISIBLE_DEVICES=all` gets all of them
        under an nvidia default runtime: its Dockerfile sets the variable to `void` right after FROM.
        """
        self.check_owner(actor, request.owner)
        yield from images.build(self._context, actor, request, build_context)

    def remove_image(self, actor: Actor, reference: str) -> None:
        """Remove an image of the actor's own, or as an administrator anybody's: `ds01-UID/NAME[:TAG]`.

        Raises Refused, NotFound, and NotPossible with the containers that use it.
        """
        uid = images.owner_of(reference)
        if uid is None:
            raise Refused(
                f"{reference} is not an image of a user",
                why="only images `ds01-UID/NAME` are removed",
                code="access.denied",
            )
        self.check_owner(actor, uid)
        images.remove(self._context, actor, reference)

    def _view_of_running(self, record: Record) -> ContainerView:
        """With the ports, which Docker chooses at each start. A Docker that does not answer spoils no start."""
        seen = None
        with suppress(Ds01Error):
            seen = self._context.engine.inspect(record.docker_id) if record.docker_id else None
        return self._view(record, seen)

    @contextmanager
    def _locked(
        self, actor: Actor, container: str, doing: str, *, manual_too: bool = False, broken_too: bool = False
    ) -> Iterator[Record]:
        """Yield a record under its container's lock, brought to what the engine says. A refusal inside is an event.

        `manual_too`: also a lease that was allocated by hand, and has no container. `broken_too`: also a container that
        the engine cannot inspect, with its record as it is.
        """
        record = self._known(actor, container)
        with (
            self._told(actor, record.container_name, record.uid),
            self._locked_quietly(actor, container, doing, manual_too=manual_too, broken_too=broken_too) as found,
        ):
            yield found

    @contextmanager
    def _locked_quietly(
        self, actor: Actor, container: str, doing: str, *, manual_too: bool = False, broken_too: bool = False
    ) -> Iterator[Record]:
        """As `_locked`, for an attempt of many, whose refusals are no events."""

        def find() -> Record:
            record = self._known(actor, container)
            if is_manual(record) and not manual_too:
                raise _by_hand(record)
            return record

        context, record = self._context, find()
        name, doing = record.container_name, f"being {doing} by {actor.login}"
        with context.ledger.container_lock(name, doing=doing):
            context.rules.refresh()
            if not is_manual(record):
                context.observer.check_engine()
                try:
                    one(context, name)
                except EngineRejected as error:
                    context.observer.report_uninspectable(name, error)
                    if not broken_too:
                        raise
            yield find()

    def _remove_image(self, actor: Actor, record: Record) -> tuple[str, ...]:
        """Take the image away that was asked for; what did not go is said."""
        if images.owner_of(record.image) != record.uid:
            return (f"the image {record.image} stays: it is not {record.user}'s own",)
        try:
            images.remove(self._context, actor, record.image)
        except NotFound:
            return ()
        except Ds01Error as error:
            return (f"the image {record.image} stays: {error.why or error.message}",)
        return ()


def _savings(steps: Generator[Saving, None, T]) -> Generator[Ending, None, T]:
    """Pass the steps of a stop on as the gate's."""
    with closing(steps):
        while True:
            try:
                saving = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            yield Ending(saving=saving)


def _acted(steps: Iterable[Ending]) -> Acted:
    """Return the outcome of a stop or a removal; who is waited for meanwhile is not said."""
    (acted,) = [step.acted for step in steps if step.acted is not None]
    return acted


def _by_hand(record: Record) -> NotPossible:
    return NotPossible(
        f"{record.name} is a lease that was allocated by hand, without a container",
        hint=f"`ds01 gpu release --container {record.name}` ends it",
    )


def _full(request: ContainerRequest) -> str:
    """The container's full name, for people: it was not checked yet."""
    return f"{request.name}._.{request.owner}"
