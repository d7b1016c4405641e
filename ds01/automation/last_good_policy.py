"""The last good policy, used if the current one is unreadable: a typing error must neither stop the automation nor
lift all limits.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ds01.errors import PolicyUnreadable
from ds01.policy.model import Policy
from ds01.policy.reading.emptied_members import (
    GRACE_PERIOD,
    emptied_since,
    last_members,
    marker_path,
    parse_logins,
    with_last_members,
)
from ds01.policy.reading.load import load, load_sources
from ds01.policy.sources import PolicySources
from ds01.records.ledger import Ledger
from ds01.system import files
from ds01.system.data import format_time

POLICY_FILE = "resource-limits.yaml"


def load_policy_or_last_good(
    path: Path, ledger: Ledger, now: datetime
) -> tuple[Policy, str | None, PolicySources | None]:
    """Return the policy in force, the problem with the current file, and the sources that were read.

    If the current file is unreadable, the last good policy is returned, without sources. Raises PolicyUnreadable if
    there is no last good policy either. Changes nothing; `save_last_good_policy` does.
    """
    directory = ledger.last_good_policy
    try:
        sources = load_sources(path)
    except PolicyUnreadable as error:
        copy = directory / POLICY_FILE
        if not copy.exists():
            raise
        problem = f"the policy is unreadable, so the last good one applies: {error.why or error.message}"
        return load(copy), problem, None
    return with_last_members(sources, directory / "groups", now), None, sources


def save_last_good_policy(sources: PolicySources, ledger: Ledger, now: datetime | None) -> bool:
    """Save the parsed bytes as the last good policy; return whether they differ from the previous ones.

    An emptied file of members replaces its copy only after a day, and never while `now` is None (the clock is not
    trusted). Raises OSError.
    """
    directory, groups = ledger.last_good_policy, ledger.last_good_policy / "groups"
    is_new = not directory.exists()
    files.make_directory(directory, mode=ledger.folder_mode)
    files.make_directory(groups, mode=ledger.folder_mode)
    changed = _write(directory / POLICY_FILE, sources.content, ledger)
    for name, content in sources.members.items():
        if not _is_emptying_delayed(groups, name, content, ledger, now):
            marker_path(groups, name).unlink(missing_ok=True)
            changed |= _write(groups / name, content, ledger)
    for old in groups.glob("*.members"):
        if old.name not in sources.members:
            old.unlink()
            marker_path(groups, old.name).unlink(missing_ok=True)
            changed = True
    return changed and not is_new


def _is_emptying_delayed(groups: Path, name: str, content: bytes, ledger: Ledger, now: datetime | None) -> bool:
    """Return whether a file was emptied and its last members still count. Records the time at the first call."""
    if parse_logins(content) or not last_members(groups, name):
        return False
    since = emptied_since(groups, name)
    if now is None:
        return True
    if since is None:
        files.replace(marker_path(groups, name), format_time(now).encode() + b"\n", mode=ledger.file_mode)
        return True
    return now - since < GRACE_PERIOD


def _write(path: Path, content: bytes, ledger: Ledger) -> bool:
    if path.exists() and path.read_bytes() == content:
        return False
    files.replace(path, content, mode=ledger.file_mode)
    return True
