"""The sums of all leases by user since the accounting began, for metrics: counters that only grow.

The tick stores them in a document of the ledger, since reading the database takes longer than Prometheus should wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any

from ds01.dataclass import dataclass
from ds01.observe.accounting.database import Unusable, open_to_write
from ds01.observe.accounting.times import SECOND, to_number
from ds01.records.ledger import Ledger

DOCUMENT = "totals"  # of the ledger
LOST_BELOW = 0.5  # of the earlier sum: then the database was lost, and counting began again

_LEASES = """
SELECT user, user_group, sum(max(0, coalesce(until, :now) - since)) FROM leases WHERE since < :now
GROUP BY user, user_group
"""
_HELD = """
SELECT user, user_group, sum(max(0, coalesce(s.until, l.until, :now) - s.since))
FROM spans s JOIN leases l ON l.id = s.lease WHERE s.state = 'held' AND s.since < :now GROUP BY user, user_group
"""
_SAMPLES = """
SELECT user, user_group, sum(s.idle), sum(s.used) FROM samples s JOIN leases l ON l.id = s.lease
GROUP BY user, user_group
"""


@dataclass(frozen=True)
class UserTotals:
    """The sums of one user in one group, in seconds. `used`: utilisation times time, where it is known."""

    user: str
    group: str
    leased: float = 0.0
    held: float = 0.0
    idle: float = 0.0
    used: float = 0.0


def store_totals(ledger: Ledger, now: datetime) -> str | None:
    """Store the sums of the database; return why that failed, or None. The caller holds the tick's lock."""
    document = ledger.document(DOCUMENT)
    try:
        with closing(open_to_write(ledger.accounting_path)) as connection:
            totals = read_totals(connection, now)
        document.write({"users": [vars(each) for each in never_less(totals, parse_totals(document.read()))]})
    except (Unusable, sqlite3.Error, OSError) as error:
        return str(error)
    return None


def read_totals(connection: sqlite3.Connection, now: datetime) -> tuple[UserTotals, ...]:
    """Return the sums of all leases until `now`, by user and group. Raises sqlite3.Error."""
    at = {"now": to_number(now)}
    found: dict[tuple[str, str], dict[str, float]] = {}
    for key, query in (("leased", _LEASES), ("held", _HELD)):
        for user, group, amount in connection.execute(query, at):
            found.setdefault((user, group), {})[key] = amount / SECOND
    for user, group, idle, used in connection.execute(_SAMPLES):
        found.setdefault((user, group), {}).update(idle=idle / SECOND, used=used / SECOND)
    return tuple(UserTotals(user, group, **sums) for (user, group), sums in sorted(found.items()))


def never_less(totals: Iterable[UserTotals], before: Iterable[UserTotals]) -> tuple[UserTotals, ...]:
    """Return the sums without small steps back, after which Prometheus would count everything a second time. Pure.

    A time that is corrected later makes a sum smaller by a little. If it is much smaller, the database was lost.
    """
    earlier = {(each.user, each.group): each for each in before}
    return tuple(_never_less(each, earlier.get((each.user, each.group))) for each in totals)


def _never_less(new: UserTotals, old: UserTotals | None) -> UserTotals:
    def keep(now: float, then: float) -> float:
        return then if then * LOST_BELOW <= now < then else now

    if old is None:
        return new
    return UserTotals(
        new.user, new.group, keep(new.leased, old.leased), keep(new.held, old.held), keep(new.idle, old.idle),
        keep(new.used, old.used),
    )  # fmt: skip


def parse_totals(document: Mapping[str, Any]) -> tuple[UserTotals, ...]:
    """Return the sums in a document; damaged entries are left out. Pure."""
    users = document.get("users")
    found = []
    for item in users if isinstance(users, list) else ():
        try:
            amounts = [float(item[key]) for key in ("leased", "held", "idle", "used")]
            found.append(UserTotals(str(item["user"]), str(item["group"]), *amounts))
        except (KeyError, TypeError, ValueError):
            continue
    return tuple(found)
