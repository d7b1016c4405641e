"""The last good policy: a typing error in the YAML must not stop the automation, nor mean no limits."""

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
    """Return the policy in force, what is wrong with today's file, and what was read of it.

    If today's is unreadable that is the last one that was not, and nothing was read. Raises PolicyUnreadable if there
    is no last one either. Changes nothing: `keep` does.
    """
    directory = ledger.last_good_policy
    try:
        sources = load_sources(path)
    except PolicyUnreadable as error:
        copy = directory / POLICY_FILE
        if not copy.exists():
            raise
        problem = f"the policy is unreadable, the last good one counts: {error.why or error.message}"
        return load(copy), problem, None
    return with_last_members(sources, directory / "groups", now), None, sources


def save_last_good_policy(sources: PolicySources, ledger: Ledger, now: datetime | None) -> bool:
    """Write the bytes that were parsed where the last good policy is kept; whether anything had changed.

    An emptied file of members replaces its copy after a day only, and never while `now` is None: the clock is not
    trusted. Raises OSError: it is a copy for bad days, and a full disk is one.
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
    """Whether a file was emptied, and its last members count still; since when is written down the first time."""
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
