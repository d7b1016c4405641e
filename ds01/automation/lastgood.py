"""The last good policy: a slip of the pen in the YAML must not stop the automation, nor mean no limits."""

from __future__ import annotations

from pathlib import Path

from ds01.errors import PolicyUnreadable
from ds01.lifecycle.ledger import Ledger
from ds01.policy.load import load
from ds01.policy.model import Policy
from ds01.system import files


def policy_or_last(path: Path, ledger: Ledger) -> tuple[Policy, str | None]:
    """Today's policy; if that is unreadable the last one that was not, and what is wrong with today's.

    Raises PolicyUnreadable if there is no last one either. The members beside the policy are kept with it.
    """
    kept = ledger.state / "last-good-policy"
    try:
        policy = load(path)
    except PolicyUnreadable as error:
        last = kept / "resource-limits.yaml"
        if not last.exists():
            raise
        return load(last), f"the policy is unreadable, the last good one counts: {error.why or error.message}"
    _keep(path, kept, ledger)
    return policy, None


def _keep(path: Path, kept: Path, ledger: Ledger) -> None:
    """Copy the policy and its members, where they changed."""
    try:
        files.make_folder(kept, mode=ledger.folder_mode)
        files.make_folder(kept / "groups", mode=ledger.folder_mode)
        sources = {path.name: path} | {f"groups/{item.name}": item for item in path.parent.glob("groups/*.members")}
        for gone in kept.glob("groups/*.members"):
            if f"groups/{gone.name}" not in sources:
                gone.unlink()
        for name, source in sources.items():
            content = source.read_bytes()
            target = kept / ("resource-limits.yaml" if source == path else name)
            if not target.exists() or target.read_bytes() != content:
                files.replace(target, content, mode=ledger.file_mode)
    except OSError:
        return  # a copy for bad days; a full disk is found elsewhere
