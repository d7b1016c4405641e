"""Measure disk use in the tick: at most once an hour each, and in a bounded time per tick.

Docker is asked once for all. Then as many workspaces are summed up as there is time for, those that were not tried for
longest first; the next tick goes on with the others. A figure stays until it is measured again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ds01.errors import Ds01Error, NotFound
from ds01.lifecycle.context.context import Context
from ds01.observe.accounting.disk import DiskUse, record_disk_use
from ds01.observe.disk_use.document import DOCUMENT, Person, disk_use_views, engine_rows, read_time
from ds01.observe.disk_use.walk import OutOfTime, tree_size
from ds01.records.entries import is_manual, readable
from ds01.records.record import Record
from ds01.system.as_user import run_as_account
from ds01.system.data import format_time

INTERVAL = timedelta(hours=1)
WALK_TIME = 60.0  # seconds for workspaces in one tick
SHORTEST_WALK = 1.0  # seconds; with less left, the next tick goes on
GRACE = 5.0  # seconds more until a walk that hangs in the kernel is given up


def measure_disk_use(context: Context, *, clock: Callable[[], float] = time.monotonic) -> list[str]:
    """Measure what is due, and store it. Returns what could not be measured, for people. Raises OSError, Ds01Error."""
    now = context.clock()
    document = context.ledger.document(DOCUMENT)
    before = document.read()
    current = readable(context.ledger.read())
    if not _is_anything_due(before, current, now):
        return []
    records = [*current, *context.ledger.removed()]
    people = {record.uid: Person(record.uid, record.user) for record in reversed(records)}
    engine, problems = _measure_engine(context, records, people, _part(before, "engine"), now)
    workspaces = _measure_workspaces(context, people, _part(before, "workspaces"), now, clock, problems)
    after = {"engine": engine, "workspaces": workspaces}
    if after == before:
        return problems
    document.write(after)
    if _figures(after) != _figures(before):
        problem = record_disk_use(context.ledger, now, _accounted(after))
        problems += [problem] if problem is not None else []
    return problems


def _measure_engine(
    context: Context, records: Iterable[Record], people: Mapping[int, Person], before: dict[str, Any], now: datetime
) -> tuple[dict[str, Any], list[str]]:
    """Return the engine's part of the document, and what went wrong."""
    if not is_due(before.get("tried_at"), now):
        return before, []
    owners = {record.docker_id: people[record.uid] for record in records if record.docker_id and not is_manual(record)}
    try:
        rows = engine_rows(context.engine.disk_usage(), owners, people)
    except Ds01Error as error:
        return before | {"tried_at": format_time(now)}, [f"Docker's disk use: {error.message}"]
    return {"tried_at": format_time(now), "measured_at": format_time(now), "rows": rows}, []


def _measure_workspaces(
    context: Context,
    people: Mapping[int, Person],
    before: dict[str, Any],
    now: datetime,
    clock: Callable[[], float],
    problems: list[str],
) -> dict[str, Any]:
    """Return the workspaces' part of the document."""
    after = {key: item for key, item in before.items() if key.isdecimal() and int(key) in people}
    end = clock() + WALK_TIME
    for person in due_people(people.values(), before, now):
        left = end - clock()
        if left < SHORTEST_WALK:
            break
        key = str(person.uid)
        item = {"user": person.login, "tried_at": format_time(now)}
        size = _workspace_size(context, person, left, clock)
        if size is None:
            kept = {key: value for key, value in _part(before, key).items() if key in ("bytes", "measured_at")}
            after[key] = kept | item
            problems.append(f"the workspaces of {person.login} could not be measured")
        else:
            after[key] = item | {"measured_at": format_time(now), **size}
    return after


def _workspace_size(
    context: Context, person: Person, seconds: float, clock: Callable[[], float]
) -> dict[str, int] | None:
    """Return bytes and unreadable directories of a user's workspaces; None if they cannot be read, or not in time."""
    try:
        account = context.users.by_uid(person.uid)
    except NotFound:
        return None
    root = Path(context.rules.policy.workspaces_of(account.login, account.home))
    until = clock() + seconds

    def walk() -> str:
        try:
            return json.dumps(vars(tree_size(root, owner=account.uid, until=until, clock=clock)))
        except (OutOfTime, OSError):
            return ""

    answer = run_as_account(account, walk, timeout=seconds + GRACE)
    found: dict[str, int] | None = json.loads(answer) if answer else None
    return found


def due_people(people: Iterable[Person], before: Mapping[str, Any], now: datetime) -> Sequence[Person]:
    """Return whose workspaces are due, those first that were not tried for longest. Pure."""
    tried = {person: _part(before, str(person.uid)).get("tried_at") for person in people}
    due = [person for person, at in tried.items() if is_due(at, now)]
    return sorted(due, key=lambda person: (str(tried[person] or ""), person.uid))


def _is_anything_due(before: Mapping[str, Any], records: Iterable[Record], now: datetime) -> bool:
    """Return whether removed records have to be read at all: there can be thousands."""
    workspaces = _part(before, "workspaces")
    is_new = any(str(record.uid) not in workspaces for record in records)
    parts = [_part(before, "engine"), *(_part(workspaces, key) for key in workspaces)]
    return is_new or any(is_due(part.get("tried_at"), now) for part in parts)


def is_due(tried_at: object, now: datetime) -> bool:
    """Return whether an hour has passed, or the clock was set back. Pure."""
    at = read_time(tried_at)
    return at is None or not timedelta(0) <= now - at < INTERVAL


def _part(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = document.get(key)
    return part if isinstance(part, dict) else {}


def _figures(document: Mapping[str, Any]) -> list[tuple[str, int | None, datetime]]:
    return [(row.kind, row.uid, row.measured_at) for row in disk_use_views(document)]


def _accounted(document: Mapping[str, Any]) -> list[DiskUse]:
    return [
        DiskUse(row.uid, row.user, row.kind, row.bytes)
        for row in disk_use_views(document)
        if row.uid is not None and row.user is not None
    ]
