"""Today's policy, and each user's limits under it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ds01.errors import NotFound
from ds01.lifecycle.context.owners import Owners
from ds01.policy.identity import resolve_account, resolve_reservations
from ds01.policy.model import AutomationRules, Limits, Policy, Reservation, UserLimits
from ds01.policy.resolve import automation_for, is_admin, resolve
from ds01.records.deadlines import hold_duration
from ds01.records.entries import Entries, readable
from ds01.records.ledger import Ledger
from ds01.records.record import Record
from ds01.records.store.tick_memory import TickMemory
from ds01.system.clock import Clock
from ds01.system.users import Account, Actor, Users


class Rules:
    """Answers from the policy and the user database, cached until the next `refresh`."""

    def __init__(
        self,
        policy: Policy,
        load_policy: Callable[[], Policy] | None,
        *,
        ledger: Ledger,
        users: Users,
        clock: Clock,
        sandbox: bool,
    ) -> None:
        """`load_policy` reads the current policy; None: `policy` applies as long as this object lives."""
        self.policy = policy
        self.memory: TickMemory | None = None  # the tick's memory; read when needed
        self._load_policy = load_policy
        self._ledger = ledger
        self._users = users
        self._clock = clock
        self._sandbox = sandbox
        self._limits: dict[tuple[int, str], UserLimits] = {}
        self._reservations: tuple[Policy, tuple[Reservation, ...]] | None = None
        self._owners: Owners | None = None

    def refresh(self) -> None:
        """Read the policy again. Raises PolicyUnreadable.

        Call it before each decision: a pull, a build or a wait may have taken hours since the last time.
        """
        if self._load_policy is not None:
            self.policy = self._load_policy()
            self._limits.clear()
            self._users.clear_cache()

    def limits(self, account: Account) -> UserLimits:
        """Return an account's limits under today's policy."""
        resolved = resolve_account(self.policy, account, self._users)
        return resolve(self.policy, resolved.login, resolved.groups, self._clock(), spellings=resolved.spellings)

    def is_admin(self, actor: Actor) -> bool:
        """Return whether the actor may act for others: root, an administrator, the owner of a sandbox."""
        return actor.uid == 0 or self.owns_sandbox(actor.uid) or self.makes_admin(actor.uid, actor.login)

    def owns_sandbox(self, uid: int) -> bool:
        """Return whether the state directory is a sandbox of this user, in which its owner may do everything."""
        return self._sandbox and uid == self._ledger.owner_uid

    def makes_admin(self, uid: int, login: str) -> bool:
        """Return whether the policy makes this user an administrator."""
        try:
            resolved = resolve_account(self.policy, self._users.by_uid(uid), self._users)
        except NotFound:
            return is_admin(self.policy, login, ())
        return is_admin(self.policy, resolved.login, resolved.groups, spellings=resolved.spellings)

    def limits_of(self, record: Record) -> UserLimits:
        """Return the limits of a record's owner under today's policy; the user database may not know the owner.

        The user database is not asked under the ledger's lock: there, a record that is new since `prefetch` gets the
        limits that it was created with.
        """
        key = (record.uid, record.group)
        if key not in self._limits and self._ledger.is_locked:
            return UserLimits(record.user, record.group, False, record.resource_limits, {})
        if key not in self._limits:
            self._limits[key] = self.owners.limits_of(record, self._clock())
        return self._limits[key]

    @property
    def owners(self) -> Owners:
        """Return the owners under today's policy and the user database, cached."""
        if self.memory is None:
            self.memory = self._ledger.tick_memory()
        owners = self._owners
        if owners is None or owners.made_from != (id(self.policy), id(self._users), id(self.memory)):
            self._limits = {}
            self._owners = owners = Owners(self.policy, self._users, self.memory)
        return owners

    def deadline_rules(self, record: Record) -> tuple[Limits, AutomationRules]:
        """Return what a record's deadlines depend on: its owner's limits, and the automation rules for the owner."""
        resolved = self.limits_of(record)
        return resolved.limits, automation_for(self.policy, resolved)

    def hold_duration(self, record: Record) -> timedelta | None:
        """Return how long the record's container keeps its lease once it is stopped; None: for ever."""
        return hold_duration(record, self.limits_of(record).limits)

    def prefetch(self, entries: Entries) -> None:
        """Look up the limits of the owners of all leases in advance, since that is not done under the ledger's lock."""
        self.reservations()
        for record in readable(entries):
            if record.lease is not None:
                self.limits_of(record)

    def reservations(self) -> tuple[Reservation, ...]:
        """Return the policy's reservations, with logins in the server's spelling."""
        if self._reservations is None or self._reservations[0] is not self.policy:
            self._reservations = (self.policy, resolve_reservations(self.policy, self._users))
        return self._reservations[1]

    def open_reservations(self) -> tuple[Reservation, ...]:
        """Return the reservations that have not ended, the next one first."""
        now = self._clock()
        coming = [item for item in self.reservations() if now < item.end]
        return tuple(sorted(coming, key=lambda item: (item.start, item.end)))
