"""What can be asked about containers and GPUs, and who may ask and act for whom. The gate adds the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress

from ds01.engines.protocol import EngineContainer, Usage
from ds01.errors import (
    Ds01Error,
    EngineAbsent,
    EngineConflict,
    EngineRejected,
    GpusUnreachable,
    NoGpuFree,
    NotFound,
    Refused,
    StateUnwritable,
)
from ds01.gate.images import own_images
from ds01.gate.views import (
    ContainerView,
    GpuStatus,
    ImageView,
    Listing,
    Sized,
    UsageView,
    foreign_view,
    slot_usage,
    view,
)
from ds01.gpus.model import Observation
from ds01.lifecycle.context.allocation import allocation_input
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.ownership import unrecorded
from ds01.lifecycle.context.slot_names import keep_names
from ds01.lifecycle.name_taken import name_taken
from ds01.lifecycle.reconciliation.judge import differs
from ds01.lifecycle.reconciliation.reconcile import glance, reconcile
from ds01.lifecycle.snapshot import take_snapshot
from ds01.lifecycle.spec.aime import is_marked, owner_of
from ds01.placement.situation import slot_states
from ds01.policy.names import container_name, fold_name
from ds01.records.entries import Entries, is_manual, readable
from ds01.records.ledger import NotSaved, Unreadable
from ds01.records.machine import State
from ds01.records.record import Record
from ds01.records.request import ContainerRequest
from ds01.system.users import Actor


class Asking:
    """The half of the gate that changes nothing but what it finds changed behind ds01."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def containers(
        self, actor: Actor, *, owner: int | None = None, all_users: bool = False, everything: bool = False
    ) -> tuple[ContainerView, ...]:
        """Containers of `owner`, by default the actor's own; of `all_users` for everybody to see.

        `everything`: also removed and foreign ones. What changed behind ds01 is recorded first.
        """
        return self.listing(actor, owner=owner, all_users=all_users, everything=everything).containers

    def listing(
        self,
        actor: Actor,
        *,
        owner: int | None = None,
        all_users: bool = False,
        everything: bool = False,
        manual: bool = False,
    ) -> Listing:
        """Return the same as `containers`, and what could be adopted, from one list of the engine.

        `manual`: also leases that were allocated by hand, without a container.
        """
        context = self._context
        uid = actor.uid if owner is None else owner
        listed = context.observer.containers()
        by_id = {seen.id: seen for seen in listed}
        entries = self._catch_up(by_id, None if all_users else uid)
        records = [record for record in readable(entries) if manual or not is_manual(record)]
        views = [self._view(record, by_id.get(record.docker_id or "")) for record in records]
        if everything:
            known = {record.docker_id for record in records}
            removed = [self._view(record) for record in context.ledger.removed()]
            views += removed + [foreign_view(seen) for seen in listed if seen.id not in known]
        mine = [item for item in views if all_users or item.uid == uid or (everything and item.uid is None)]
        mine.sort(key=lambda item: (item.state == State.REMOVED.value, item.user or "~", item.name))
        theirs = self._adoptable(listed, {record.docker_id for record in records}, None if all_users else uid)
        return Listing(tuple(mine), tuple(sorted(seen.name for seen in theirs)))

    def gpu_quota(self, actor: Actor, owner: int) -> int | None:
        """Return how many GPUs and MIG instances a user may have at once; None: any number."""
        return self._context.rules.limits(self._context.users.by_uid(owner)).limits.max_mig_instances

    def last_request(self, actor: Actor, name: str, *, owner: int | None = None) -> ContainerRequest | None:
        """Return the request of the last removed container of a name, to make it again; None if none is kept.

        Raises NotPossible if the name is taken: what a start with `--recreate` replaced counts as removed too.
        """
        uid = actor.uid if owner is None else owner
        full = container_name(name, uid)
        entries = self._catch_up({seen.id: seen for seen in self._context.observer.containers()}, uid)
        entry = entries.get(full) if self._may(actor, uid) else None
        if isinstance(entry, Record):
            raise name_taken(entry)
        removed = self._context.ledger.removed_as(full) if self._may(actor, uid) else []
        made = [record for record in removed if record.request is not None and not is_manual(record)]
        last = max(made, key=lambda record: record.last_change, default=None)
        return None if last is None else last.request

    def resolve(self, actor: Actor, reference: str, *, owner: int | None = None) -> str:
        """The full name of a container that the actor means: exact spelling first, then folded.

        Raises NotFound, also for somebody else's.
        """
        uid = actor.uid if owner is None else owner
        entries = self._context.ledger.read()
        for candidate in spellings(reference, uid):
            entry = entries.get(candidate)
            if entry is not None and (not isinstance(entry, Record) or self._may(actor, entry.uid)):
                return candidate
        owned = [record for record in readable(entries) if record.uid == uid and not is_manual(record)]
        names = sorted(record.name for record in owned)
        mine = uid == actor.uid
        why = f"{'yours are' if mine else f'{owned[0].user} has'} {', '.join(names)}" if names else None
        raise NotFound(
            f"there is no container {reference}",
            why=why or ("you have none" if mine else "that user has none"),
            hint="`container-list` shows them" if names else "`container-deploy NAME` makes one",
        )

    def sizes(self, actor: Actor, containers: tuple[str, ...]) -> tuple[Sized, ...]:
        """Containers with the bytes of their own layers."""
        found = []
        for name in containers:
            record = self._record(actor, name)
            seen = None
            with suppress(EngineConflict, EngineRejected):  # it is broken: the others have sizes all the same
                seen = self._context.engine.inspect(record.docker_id, size=True) if record.docker_id else None
            found.append(Sized(self._view(record, seen), seen.size_bytes if seen else None))
        return tuple(found)

    def usage(self, actor: Actor, containers: tuple[str, ...], *, over: float = 0.25) -> tuple[UsageView, ...]:
        """What running containers use; CPU as the mean over `over` seconds."""
        context = self._context
        records = [self._record(actor, name) for name in containers]
        running = [record for record in records if record.state is State.RUNNING and record.docker_id]
        first = {record.id: self._usage(record) for record in running}
        context.sleep(over)
        gpus = self._busy_gpus() if any(record.lease for record in running) else None
        views = []
        for record in running:
            before, now = first[record.id], self._usage(record)
            percent = None
            if before.cpu_nanoseconds is not None and now.cpu_nanoseconds is not None:
                percent = max(0.0, (now.cpu_nanoseconds - before.cpu_nanoseconds) / (over * 1e9) * 100)
            limits = record.resource_limits
            views.append(
                UsageView(
                    record.name,
                    record.container_name,
                    record.user,
                    percent,
                    limits.max_cpus,
                    now.memory_bytes,
                    limits.memory or now.memory_limit_bytes,
                    now.pids,
                    limits.pids_limit,
                    self._view(record).gpus,
                    slot_usage(record, gpus),
                )
            )
        return tuple(views)

    def _usage(self, record: Record) -> Usage:
        """What a container uses; all unknown if it has ended meanwhile, or the engine cannot inspect it."""
        try:
            return self._context.engine.usage(record.docker_id or "")
        except (EngineAbsent, EngineConflict, EngineRejected):
            return Usage(None, None, None, None)

    def _busy_gpus(self) -> Observation | None:
        """The GPUs, with how busy they are; None if they cannot be asked."""
        try:
            return self._context.observer.gpus(utilisation=True)
        except GpusUnreachable:
            return None

    def image_is_there(self, actor: Actor, image: str) -> bool:
        """Whether the server has an image."""
        return self._context.engine.image(image) is not None

    def image_labels(self, actor: Actor, image: str) -> Mapping[str, str]:
        """The labels of a local image; none if it is not there."""
        found = self._context.engine.image(image)
        return {} if found is None else found.labels

    def images(self, actor: Actor, *, owner: int | None = None) -> tuple[ImageView, ...]:
        """A user's own images, `ds01-UID/…`, and who was made from them; the tags of containers are left out."""
        return own_images(self._context, actor.uid if owner is None else owner)

    def own_images(self, actor: Actor, *, owner: int | None = None) -> tuple[str, ...]:
        """The references of a user's own images."""
        return tuple(image.reference for image in self.images(actor, owner=owner))

    def gpus(self, actor: Actor) -> GpuStatus:
        """All slots, and what stands on them, for everybody to see."""
        context = self._context
        unsaved: list[Record] = []
        snapshot = take_snapshot(context, failed=_collect_unsaved(unsaved))
        observation = snapshot.gpus
        keep_names(context, observation)
        entries = _with_unsaved(context.ledger.read(), unsaved)
        situation = allocation_input(context, entries, observation, snapshot.outside)
        rows = slot_states(situation)
        reserved = context.rules.open_reservations()
        return GpuStatus(rows, observation.gpus, observation.driver, observation.simulated, reserved)

    def gpu_models(self, actor: Actor) -> tuple[str, ...]:
        """The models of the server's GPUs; none if they cannot be asked."""
        try:
            return tuple(gpu.model for gpu in self._context.observer.gpus().gpus)
        except GpusUnreachable:
            return ()

    def is_admin(self, actor: Actor) -> bool:
        """Whether the actor may act for others."""
        context = self._context
        own = context.sandbox and actor.uid == context.ledger.owner_uid
        return actor.uid == 0 or own or context.rules.makes_admin(actor.uid, actor.login)

    def _may(self, actor: Actor, uid: int) -> bool:
        return actor.uid == uid or self.is_admin(actor)

    def check_owner(self, actor: Actor, uid: int) -> None:
        """Raises Refused if the actor may not act for this user."""
        with self._told(actor, None, uid):
            if not self._may(actor, uid):
                raise Refused(
                    f"{actor.login} may not act for {self._login(uid)}",
                    why="acting for others is for administrators",
                    hint="these are root, and the members of a group with `admin: true` in the policy",
                    code="access.denied",
                )

    def _check_admin(self, actor: Actor) -> None:
        with self._told(actor, None, None):
            if not self.is_admin(actor):
                raise Refused(
                    "this is for administrators",
                    hint="members of a group with `admin: true`, and root",
                    code="access.denied",
                )

    @contextmanager
    def _told(self, actor: Actor, container: str | None, uid: int | None) -> Iterator[None]:
        """What is refused inside is an event too. `container`: the full name, `uid` the owner's, where known."""
        try:
            yield
        except Ds01Error as error:
            if isinstance(error, (Refused, NoGpuFree)) or "refusal" in (error.data or {}):
                self._emit_refusal(actor, container, uid, error)
            raise

    def _emit_refusal(self, actor: Actor, container: str | None, uid: int | None, error: Ds01Error) -> None:
        refusal = (error.data or {}).get("refusal")
        facts = {"actor": actor.login, "container": container, "user": None if uid is None else self._login(uid)}
        why = refusal["rule"] if refusal is not None else error.message
        self._context.emit("refusal", facts | {"why": why, "refusal": refusal})

    def _login(self, uid: int) -> str:
        try:
            return self._context.users.by_uid(uid).login
        except NotFound:
            return f"uid {uid}"

    def _record(self, actor: Actor, container: str) -> Record:
        """A record that was brought to what the engine says, unless a command is at work on it."""
        record = self._known(actor, container)
        if is_manual(record):
            return record
        self._context.observer.check_engine()
        try:
            glance(self._context, container)
        except NotSaved as error:
            if error.record.state is not State.REMOVED and self._may(actor, error.record.uid):
                return error.record
        except (EngineAbsent, EngineConflict, EngineRejected) as error:
            self._context.observer.report_uninspectable(container, error)  # its record says what was known of it
        return self._known(actor, container)

    def _known(self, actor: Actor, container: str) -> Record:
        entry = self._context.ledger.read().get(container)
        if entry is not None and not isinstance(entry, Record):
            reconcile(self._context, self._context.observer.containers())
            entry = self._context.ledger.read().get(container)
        if isinstance(entry, Unreadable) and not entry.corrupt:
            raise entry.error()
        if not isinstance(entry, Record) or not self._may(actor, entry.uid):
            name = container.partition("._.")[0]
            raise NotFound(f"there is no container {name}", hint="`container-list` shows yours")
        return entry

    def _catch_up(self, by_id: dict[str, EngineContainer], uid: int | None) -> Entries:
        """Record what changed behind ds01, as far as `uid`'s or (None) everybody's containers go; all records then."""
        entries = self._context.ledger.read()
        mine = [record for record in readable(entries) if uid is None or record.uid == uid]
        changed = any(
            not is_manual(record) and (record.conflict or differs(record, by_id.get(record.docker_id or "")))
            for record in mine
        )
        strays = bool(unrecorded(self._context, entries, by_id.values()))
        if changed or strays or len(readable(entries)) < len(entries):
            unsaved: list[Record] = []
            reconcile(self._context, list(by_id.values()), failed=_collect_unsaved(unsaved))
            return _with_unsaved(self._context.ledger.read(), unsaved)
        return entries

    def _adoptable(
        self, listed: list[EngineContainer], known: Set[str | None], uid: int | None
    ) -> list[EngineContainer]:
        """What AIME's tools made for `uid` (None: for anybody), and no record knows."""
        found = []
        for seen in listed:
            if seen.id in known or not is_marked(seen):
                continue
            with suppress(Ds01Error):  # nobody can say whose it is
                if owner_of(seen, self._context.users) == uid or uid is None:
                    found.append(seen)
        return found

    def _view(self, record: Record, seen: EngineContainer | None = None) -> ContainerView:
        return view(record, *self._context.rules.deadline_rules(record), seen)


def _collect_unsaved(unsaved: list[Record]) -> Callable[[str, Exception], None]:
    """Return what collects the records that a full or read-only disk did not take; other failures are raised.

    Who only asks is shown what is so, whether it could be written or not.
    """

    def failed(name: str, error: Exception) -> None:
        if isinstance(error, NotSaved):
            unsaved.append(error.record)
        elif not isinstance(error, (StateUnwritable, EngineRejected)):  # reconcile reports what Docker rejects
            raise error

    return failed


def _with_unsaved(entries: Entries, unsaved: list[Record]) -> Entries:
    """All records, those that could not be saved as they would be."""
    merged = {**entries, **{record.container_name: record for record in unsaved}}
    gone = {record.container_name for record in unsaved if record.state is State.REMOVED}
    return {name: entry for name, entry in merged.items() if name not in gone}


def spellings(reference: str, uid: int) -> Iterator[str]:
    """The full names that may be meant, the most exact first."""
    yield reference
    yield f"{reference}._.{uid}"  # AIME's tools allow capitals and dots in a name
    for spell in (lambda text: text, lambda text: fold_name(text)[0]):
        try:
            yield container_name(spell(reference), uid)
        except ValueError:
            continue
