"""Compare two policies: what changes for the present users and containers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ds01.dataclass import dataclass
from ds01.gpus.model import SlotKind
from ds01.host.people import People
from ds01.policy.limit_lines import limit_lines
from ds01.policy.model import Limits, Policy, UserLimits
from ds01.policy.resolve import automation_for, resolve
from ds01.records.deadlines import earliest_deadline
from ds01.records.entries import is_manual
from ds01.records.record import Record
from ds01.system.users import Account

NOT_SET = "none"


@dataclass(frozen=True)
class ChangedLimit:
    """A limit of a user that would change."""

    user: str
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class ExceededLimit:
    """A user who would have more than the policy allows. Nothing is taken away; it counts at the next request."""

    user: str
    what: str
    has: int
    limit: int


@dataclass(frozen=True)
class EarlierDeadline:
    """A container whose next deadline would come sooner, or whose deadline is new (`before` None)."""

    user: str
    container: str
    because: str
    before: datetime | None
    after: datetime


@dataclass(frozen=True)
class PolicyComparison:
    """All changes, and the users they concern."""

    changed: tuple[ChangedLimit, ...]
    over: tuple[ExceededLimit, ...]
    sooner: tuple[EarlierDeadline, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.over or self.sooner)


def compare_policies(
    before: Policy, after: Policy, people: People, records: Sequence[Record], now: datetime
) -> PolicyComparison:
    """Return what changes for users and containers under the policy `after` instead of `before`."""
    changed: list[ChangedLimit] = []
    over: list[ExceededLimit] = []
    sooner: list[EarlierDeadline] = []
    for account in people.accounts:
        old, new = (
            resolve(policy, account.login, account.groups, now, spellings=account.spellings)
            for policy in (before, after)
        )
        users_records = [record for record in records if record.uid == account.uid]
        changed += _changed(old, new)
        over += _over(account, users_records, new.limits)
        for record in users_records:
            deadline_before = earliest_deadline(record, old.limits, automation_for(before, old))
            deadline_after = earliest_deadline(record, new.limits, automation_for(after, new))
            if deadline_after is not None and (deadline_before is None or deadline_after.at < deadline_before.at):
                sooner.append(
                    EarlierDeadline(
                        record.user,
                        record.container_name,
                        deadline_after.because,
                        deadline_before.at if deadline_before else None,
                        deadline_after.at,
                    )
                )
    return PolicyComparison(tuple(changed), tuple(over), tuple(sooner))


def _changed(old: UserLimits, new: UserLimits) -> Iterator[ChangedLimit]:
    deadline_before, deadline_after = (
        {line.label: line.text for line in limit_lines(limits, exact=True)} for limits in (old, new)
    )
    rounded_texts = [{line.label: line.text for line in limit_lines(limits)} for limits in (old, new)]
    for label in dict.fromkeys([*deadline_before, *deadline_after]):
        if deadline_before.get(label) == deadline_after.get(label):
            continue
        before, after = (texts.get(label, NOT_SET) for texts in rounded_texts)
        if before == after:  # two sizes that differ, but not when rounded
            before, after = deadline_before.get(label, NOT_SET), deadline_after.get(label, NOT_SET)
        yield ChangedLimit(new.user, label, before, after)


def _over(account: Account, users_records: Sequence[Record], limits: Limits) -> Iterator[ExceededLimit]:
    leased = sum(len(record.slots) for record in users_records)
    containers = sum(not is_manual(record) for record in users_records)
    full_gpus = sum(
        ref.kind is SlotKind.FULL for record in users_records for ref in (record.lease.slots if record.lease else ())
    )
    largest = max((len(record.slots) for record in users_records), default=0)
    for what, has, limit in (
        ("max_mig_instances", leased, limits.max_mig_instances),
        ("max_gpus_per_container", largest, limits.max_gpus_per_container),
        ("max_containers_per_user", containers, limits.max_containers_per_user),
        ("allow_full_gpu", full_gpus, None if limits.allow_full_gpu else 0),
    ):
        if limit is not None and has > limit:
            yield ExceededLimit(account.login, what, has, limit)
