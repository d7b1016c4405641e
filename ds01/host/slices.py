"""Compute the slices that the policy wants, and the changes that are needed. Pure.

`ds01-GROUP-USER.slice` has a user's `aggregate`, `ds01-GROUP.slice` the group's `group_total`. Their parent,
`ds01.slice`, gets no limits from ds01: an administrator's limits on it stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from ds01.dataclass import dataclass
from ds01.host.people import People
from ds01.lifecycle.context.owners import Owners
from ds01.policy.model import Policy, SliceLimits
from ds01.policy.names import group_slice, slice_name
from ds01.policy.resolve import FALLBACK_GROUP, group_limits, resolve
from ds01.records.record import Record
from ds01.system.users import Account

NO_LIMITS = SliceLimits()
ROOT = "ds01.slice"


@dataclass(frozen=True)
class SliceChange:
    """A slice whose limits differ from the policy's. `after` without limits: the policy dropped them."""

    unit: str
    before: SliceLimits
    after: SliceLimits


def plan_slices(wanted: Mapping[str, SliceLimits], existing: Mapping[str, SliceLimits]) -> list[SliceChange]:
    """Return the needed changes, sorted by unit. `existing`: the current limits of slices below `ds01.slice`."""
    units = {unit for unit in {*wanted, *existing} if unit.startswith("ds01-")}
    changes = [
        SliceChange(unit, existing.get(unit, NO_LIMITS), as_systemd_stores(wanted.get(unit, NO_LIMITS)))
        for unit in units
    ]
    return sorted((change for change in changes if change.before != change.after), key=lambda change: change.unit)


def applied(existing: Mapping[str, SliceLimits], changes: Iterable[SliceChange]) -> dict[str, SliceLimits]:
    """Return the limits after `changes`."""
    after = dict(existing) | {change.unit: change.after for change in changes}
    return {unit: share for unit, share in after.items() if share != NO_LIMITS}


def wanted_slices(
    policy: Policy, people: Iterable[Account], records: Iterable[Record], now: datetime
) -> dict[str, SliceLimits]:
    """Return the limits of every limited slice: those of the groups, and of `people`.

    A container stays in the slice in which it was created: a user who moved to another group keeps the old slice too,
    with today's limits, as long as a record is in it.
    """
    groups = [*policy.groups, *({policy.default_group or FALLBACK_GROUP} - set(policy.groups))]
    shares = {group_slice(group): group_limits(policy, group).group_total for group in groups}
    places = {account.uid: set[str]() for account in people}
    for record in records:
        places.setdefault(record.uid, set()).add(record.group)
    for account in people:
        resolved = resolve(policy, account.login, account.groups, now, spellings=account.spellings)
        for group in {resolved.group, *places[account.uid]}:
            shares[slice_name(group, account.login, account.uid)] = resolved.limits.aggregate
    return {unit: as_systemd_stores(share) for unit, share in shares.items() if share != NO_LIMITS}


def unsure_slices(owners: Owners, people: People, records: Iterable[Record], now: datetime) -> Callable[[str], bool]:
    """Return a predicate for the slices of users whose limits are uncertain now; these slices are not changed."""
    groups = owners.policy.groups
    places = {(record.user, record.uid): record.group for record in records if owners.doubt(record, now)}
    logins = {*places, *((login, 0) for login in people.unknown_logins)}
    units = {slice_name(group, *login) for login in logins for group in {*groups, *places.values()}}
    silent = [group for group in groups if owners.missing_groups(group) & owners.silent_groups()]
    below = tuple(group_slice(group).removesuffix(".slice") + "-" for group in silent)
    return lambda unit: unit in units or unit.startswith(below)


def as_systemd_stores(share: SliceLimits) -> SliceLimits:
    """Return the limits as systemd stores them: CPU time in tenths of a percent of a core."""
    return share if share.max_cpus is None else replace(share, max_cpus=round(share.max_cpus, 3))
