"""Tolerate an emptied file of members, written perhaps by a script whose directory server did not answer.

The last good members of the group count for one more day after the tick first saw the file empty.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from ds01.policy.model import LastGoodMembers, Policy
from ds01.policy.reading.files import parse_members
from ds01.policy.reading.problems import ProblemList
from ds01.policy.sources import PolicySources
from ds01.system import files
from ds01.system.data import DataError, parse_time

GRACE_PERIOD = timedelta(days=1)


def with_last_members(sources: PolicySources, last_good_directory: Path, now: datetime) -> Policy:
    """Return the policy with the last good members of groups whose file of members was emptied less than a day ago.

    `last_good_directory` has the tick's copies; `NAME.emptied` in it says since when a file is empty.
    """
    policy = sources.policy
    for name, content in sources.members.items():
        group = policy.groups[name.removesuffix(".members")]
        if parse_logins(content) or not (last_logins := last_members(last_good_directory, name)):
            continue
        since = emptied_since(last_good_directory, name)
        if since is not None and now - since >= GRACE_PERIOD:
            continue
        until = (since or now) + GRACE_PERIOD
        file = policy.path.parent / "groups" / name
        policy = replace(
            policy,
            groups={**policy.groups, group.name: replace(group, members=group.members | last_logins)},
            last_good_members=(
                *policy.last_good_members,
                LastGoodMembers(str(file), group.name, len(last_logins), until),
            ),
        )
    return policy


def parse_logins(content: bytes) -> frozenset[str]:
    """Return the logins in the content of a file of members; empty if it is not text."""
    return parse_members(content, ProblemList(""))


def last_members(last_good_directory: Path, name: str) -> frozenset[str]:
    """Return the logins in the tick's copy of a file of members; empty without a copy."""
    try:
        return parse_logins(files.read(last_good_directory / name))
    except OSError:
        return frozenset()


def emptied_since(last_good_directory: Path, name: str) -> datetime | None:
    """Return since when the tick has found a file of members empty; None if it is not empty."""
    with suppress(OSError, DataError, UnicodeDecodeError):
        return parse_time(files.read(marker_path(last_good_directory, name)).decode().strip())
    return None


def marker_path(last_good_directory: Path, name: str) -> Path:
    """Return the file that says since when a file of members is empty."""
    return last_good_directory / f"{name.removesuffix('.members')}.emptied"
