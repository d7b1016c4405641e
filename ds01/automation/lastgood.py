"""The last good policy: a slip of the pen in the YAML must not stop the automation, nor mean no limits."""

from __future__ import annotations

from pathlib import Path

from ds01.errors import PolicyUnreadable
from ds01.lifecycle.ledger import Ledger
from ds01.policy.load import load
from ds01.policy.model import Policy
from ds01.system import files

FILE = "resource-limits.yaml"


def policy_or_last(path: Path, ledger: Ledger) -> tuple[Policy, str | None]:
    """Today's policy; if that is unreadable the last one that was not, and what is wrong with today's.

    Raises PolicyUnreadable if there is no last one either. Changes nothing: `keep` does.
    """
    try:
        return load(path), None
    except PolicyUnreadable as error:
        last = _folder(ledger) / FILE
        if not last.exists():
            raise
        return load(last), f"the policy is unreadable, the last good one counts: {error.why or error.message}"


def keep(path: Path, ledger: Ledger) -> bool:
    """Copy the policy, which was read well, and its members, where they changed; whether anything had changed.

    Raises OSError: it is a copy for bad days, and a full disk is one.
    """
    kept = _folder(ledger)
    new = not kept.exists()
    files.make_folder(kept, mode=ledger.folder_mode)
    files.make_folder(kept / "groups", mode=ledger.folder_mode)
    sources = {path: kept / FILE} | {item: kept / "groups" / item.name for item in path.parent.glob("groups/*.members")}
    changed = False
    for gone in set(kept.glob("groups/*.members")) - set(sources.values()):
        gone.unlink()
        changed = True
    for source, target in sources.items():
        content = source.read_bytes()
        if not target.exists() or target.read_bytes() != content:
            files.replace(target, content, mode=ledger.file_mode)
            changed = True
    return changed and not new


def _folder(ledger: Ledger) -> Path:
    return ledger.state / "last-good-policy"
