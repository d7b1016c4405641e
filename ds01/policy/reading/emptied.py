"""An emptied file of members: whoever wrote it may have asked a directory that did not answer.

The last good members of the group count for a day more, from when the tick first saw the file empty.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from ds01.policy.model import KeptMembers, Policy
from ds01.policy.reading.files import parse_members
from ds01.policy.reading.problems import Problems
from ds01.policy.sources import PolicySources
from ds01.system import files
from ds01.system.data import DataError, parse_time

KEPT_FOR = timedelta(days=1)


def with_last_members(sources: PolicySources, kept: Path, now: datetime) -> Policy:
    """Return the policy with the last good members of groups whose file of members was emptied less than a day ago.

    `kept` is the folder with the tick's copies; `kept/NAME.emptied` says since when a file is empty.
    """
    policy = sources.policy
    for name, content in sources.members.items():
        group = policy.groups[name.removesuffix(".members")]
        if logins_in(content) or not (last := last_members(kept, name)):
            continue
        since = emptied_since(kept, name)
        if since is not None and now - since >= KEPT_FOR:
            continue
        until = (since or now) + KEPT_FOR
        file = policy.path.parent / "groups" / name
        policy = replace(
            policy,
            groups={**policy.groups, group.name: replace(group, members=group.members | last)},
            kept_members=(*policy.kept_members, KeptMembers(str(file), group.name, len(last), until)),
        )
    return policy


def logins_in(content: bytes) -> frozenset[str]:
    """Return the logins in the content of a file of members; none if it is not text."""
    return parse_members(content, Problems(""))


def last_members(kept: Path, name: str) -> frozenset[str]:
    """Return the logins in the tick's copy of a file of members; none without a copy."""
    try:
        return logins_in(files.read(kept / name))
    except OSError:
        return frozenset()


def emptied_since(kept: Path, name: str) -> datetime | None:
    """Return since when the tick has found a file of members empty; None if it has not."""
    with suppress(OSError, DataError, UnicodeDecodeError):
        return parse_time(files.read(marker(kept, name)).decode().strip())
    return None


def marker(kept: Path, name: str) -> Path:
    """Return the file that says since when a file of members is empty."""
    return kept / f"{name.removesuffix('.members')}.emptied"
