"""What another policy would change for the people and containers of today. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ds01.gpus.model import SlotKind
from ds01.host.people import People
from ds01.policy.limit_lines import limit_lines
from ds01.policy.model import Limits, Policy, UserLimits
from ds01.policy.resolve import automation_for, resolve
from ds01.records.deadlines import deadline
from ds01.records.entries import is_manual
from ds01.records.record import Record
from ds01.system.users import Account

NONE = "none"


@dataclass(frozen=True)
class Changed:
    """A limit of a user that would be another."""

    user: str
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Over:
    """Somebody who would have more than the policy gives. Nothing is taken away; it counts at the next request."""

    user: str
    what: str
    has: int
    limit: int


@dataclass(frozen=True)
class Sooner:
    """A container whose next deadline would come sooner, or whose deadline is new (`before` None)."""

    user: str
    container: str
    because: str
    before: datetime | None
    after: datetime


@dataclass(frozen=True)
class Replay:
    """All that would change, and for whom."""

    changed: tuple[Changed, ...]
    over: tuple[Over, ...]
    sooner: tuple[Sooner, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.over or self.sooner)


def replay(before: Policy, after: Policy, people: People, records: Sequence[Record], now: datetime) -> Replay:
    """Today's users and containers under the policy `after` instead of `before`."""
    changed: list[Changed] = []
    over: list[Over] = []
    sooner: list[Sooner] = []
    for account in people.known:
        old, new = (
            resolve(policy, account.login, account.groups, now, spellings=account.spellings)
            for policy in (before, after)
        )
        own = [record for record in records if record.uid == account.uid]
        changed += _changed(old, new)
        over += _over(account, own, new.limits)
        for record in own:
            was = deadline(record, old.limits, automation_for(before, old))
            will = deadline(record, new.limits, automation_for(after, new))
            if will is not None and (was is None or will.at < was.at):
                sooner.append(
                    Sooner(record.user, record.container_name, will.because, was.at if was else None, will.at)
                )
    return Replay(tuple(changed), tuple(over), tuple(sooner))


def _changed(old: UserLimits, new: UserLimits) -> Iterator[Changed]:
    was, will = ({line.label: line.text for line in limit_lines(limits, exact=True)} for limits in (old, new))
    rounded = [{line.label: line.text for line in limit_lines(limits)} for limits in (old, new)]
    for label in dict.fromkeys([*was, *will]):
        if was.get(label) == will.get(label):
            continue
        before, after = (texts.get(label, NONE) for texts in rounded)
        if before == after:  # two sizes that are the same only when rounded
            before, after = was.get(label, NONE), will.get(label, NONE)
        yield Changed(new.user, label, before, after)


def _over(account: Account, own: Sequence[Record], limits: Limits) -> Iterator[Over]:
    leased = sum(len(record.slots) for record in own)
    containers = sum(not is_manual(record) for record in own)
    whole = sum(ref.kind is SlotKind.FULL for record in own for ref in (record.lease.slots if record.lease else ()))
    most = max((len(record.slots) for record in own), default=0)
    for what, has, limit in (
        ("max_mig_instances", leased, limits.max_mig_instances),
        ("max_gpus_per_container", most, limits.max_gpus_per_container),
        ("max_containers_per_user", containers, limits.max_containers_per_user),
        ("allow_full_gpu", whole, None if limits.allow_full_gpu else 0),
    ):
        if limit is not None and has > limit:
            yield Over(account.login, what, has, limit)
