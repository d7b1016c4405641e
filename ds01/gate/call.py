"""The call of one operation: its actor, its subject, and what all handlers share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from ds01.api.refusals import refusal_of
from ds01.api.views import ContainerView
from ds01.engines.protocol import EngineContainer
from ds01.errors import (
    Ds01Error,
    EngineConflict,
    EngineNotFound,
    EngineRejected,
    InvalidState,
    NoCapacity,
    NotFound,
    PermissionDenied,
)
from ds01.journal.notifier import Notifier
from ds01.lifecycle.context.context import Context
from ds01.observe.container_views import view
from ds01.records.entries import is_manual
from ds01.records.ledger import NotSaved, UnreadableRecord
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system.users import Actor


class Call:
    """The call of one operation. A refusal becomes an event about the subject known so far."""

    def __init__(self, context: Context, actor: Actor) -> None:
        self.context = context
        self.actor = actor
        self.records_refusals = True  # false for a question whether something would be refused
        self._subject: tuple[str | None, int | None] = (None, None)  # full name, uid of the owner

    @cached_property
    def notifier(self) -> Notifier:
        """Notifies owners for the whole call: the lab's program is not run again once it has hung."""
        context = self.context
        return Notifier(context.mailboxes, context.rules.policy.notify, context.emit, actor=self.actor.login)

    def about(self, container: str | None, owner: int | None) -> None:
        """Set the subject: the container, and its owner."""
        self._subject = (container, owner)

    def may(self, uid: int) -> bool:
        """Return whether the actor may act for a user."""
        return self.actor.uid == uid or self.context.rules.is_admin(self.actor)

    def check_owner(self, uid: int) -> None:
        """Raise PermissionDenied if the actor may not act for this user."""
        self.about(None, uid)
        if not self.may(uid):
            raise PermissionDenied(
                f"{self.actor.login} may not act for {self.login(uid)}",
                why="only administrators may act for others",
                hint="administrators are root and the members of a group with `admin: true` in the policy",
                code="access.denied",
            )

    def check_admin(self) -> None:
        """Raise PermissionDenied if the actor is not an administrator."""
        if not self.context.rules.is_admin(self.actor):
            raise PermissionDenied(
                "only administrators may do this",
                hint="administrators are root and the members of a group with `admin: true` in the policy",
                code="access.denied",
            )

    def login(self, uid: int) -> str:
        """Return a user's login, or the uid if the user database does not know it."""
        try:
            return self.context.users.by_uid(uid).login
        except NotFound:
            return f"uid {uid}"

    def view(self, record: Record, container: EngineContainer | None = None) -> ContainerView:
        """Return the view of a record and of its container as the engine lists it."""
        return view(record, *self.context.rules.deadline_rules(record), container)

    def stored_record(self, container: str) -> Record:
        """Return a record without reconciling it. Raises NotFound, also for other users' containers."""
        context = self.context
        entry = context.ledger.read().get(container)
        if entry is not None and not isinstance(entry, Record):
            from ds01.lifecycle.reconciliation.reconcile import reconcile

            reconcile(context, context.observer.containers())
            entry = context.ledger.read().get(container)
        if isinstance(entry, UnreadableRecord) and not entry.corrupt:
            raise entry.error()
        if not isinstance(entry, Record) or not self.may(entry.uid):
            name = container.partition("._.")[0]
            raise NotFound(f"there is no container {name}", hint="`container-list` shows yours")
        return entry

    def record(self, container: str) -> Record:
        """Return a record after reconciling it, unless a command works on the container. Raises NotFound."""
        context, record = self.context, self.stored_record(container)
        if is_manual(record):
            return record
        from ds01.lifecycle.reconciliation.reconcile import reconcile_if_unlocked

        context.observer.check_engine()
        try:
            reconcile_if_unlocked(context, container)
        except NotSaved as error:
            if error.record.state is not State.REMOVED and self.may(error.record.uid):
                return error.record
        except (EngineNotFound, EngineConflict, EngineRejected) as error:
            context.observer.report_uninspectable(container, error)  # the record stays as it is
        return self.stored_record(container)

    @contextmanager
    def locked(
        self, container: str, doing: str, *, manual_too: bool = False, broken_too: bool = False
    ) -> Iterator[Record]:
        """Yield a record under its container's lock, after reading the policy again and reconciling the record.

        `doing`: a participle for the message to others who wait for the lock. `manual_too`: accept a manual lease.
        `broken_too`: accept a container that the engine cannot inspect, with its record unchanged.
        """
        from ds01.lifecycle.reconciliation.reconcile import reconcile_one

        context = self.context

        def find() -> Record:
            record = self.stored_record(container)
            if is_manual(record) and not manual_too:
                raise manual_lease_error(record)
            return record

        record = find()
        name = record.container_name
        self.about(name, record.uid)
        with context.ledger.container_lock(name, doing=f"being {doing} by {self.actor.login}"):
            context.rules.refresh()
            if not is_manual(record):
                context.observer.check_engine()
                try:
                    reconcile_one(context, name)
                except EngineRejected as error:
                    context.observer.report_uninspectable(name, error)
                    if not broken_too:
                        raise
            yield find()

    @contextmanager
    def refusals_recorded(self) -> Iterator[None]:
        """Emit an event for a refusal that is raised in the block."""
        try:
            yield
        except Ds01Error as error:
            is_refusal = isinstance(error, (PermissionDenied, NoCapacity)) or refusal_of(error) is not None
            if is_refusal and self.records_refusals:
                self.record_refusal(error)
            raise

    def record_refusal(self, error: Ds01Error) -> None:
        """Emit the event for a refusal."""
        container, uid = self._subject
        refusal = refusal_of(error)
        why = refusal.rule if refusal is not None else error.message
        user = None if uid is None else self.login(uid)
        event = {"actor": self.actor.login, "container": container, "user": user, "why": why, "refusal": refusal}
        self.context.emit("refusal", event)


def manual_lease_error(record: Record) -> InvalidState:
    """Return the error for a manual lease where a container is needed."""
    return InvalidState(
        f"{record.name} is a manual lease without a container",
        hint=f"`ds01 gpu release --container {record.name}` ends it",
    )
