"""Prepare an emergency stop so that it works even with an unreadable policy or user database."""

from __future__ import annotations

from ds01.automation.last_good_policy import load_policy_or_last_good
from ds01.errors import NotFound
from ds01.gate.installation import Installation
from ds01.records.record import Record


def use_last_good_policy(installation: Installation) -> str | None:
    """Use the last good policy if the current one is unreadable; return its problem. Raises PolicyUnreadable."""
    config, ledger = installation.settings.config, installation.ledger
    installation.policy, problem, _ = load_policy_or_last_good(config, ledger, installation.now())
    return problem


def find_uid(installation: Installation, login: str) -> int:
    """Return the uid of a login, from the records if the user database does not know it. Raises NotFound."""
    try:
        return installation.users.by_login(login).uid
    except NotFound:
        entries = installation.ledger.read().values()
        uids = {entry.uid for entry in entries if isinstance(entry, Record) and entry.user == login}
        if len(uids) != 1:
            raise
        return uids.pop()
