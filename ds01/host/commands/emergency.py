"""What an emergency stop needs before it can be run: it must work when something is odd."""

from __future__ import annotations

from ds01.automation.last_good_policy import load_policy_or_last_good
from ds01.errors import NotFound
from ds01.gate.installation import Installation
from ds01.records.record import Record


def use_last_good_policy(installation: Installation) -> str | None:
    """Use the last good policy if today's is unreadable, and return what is wrong with it. Raises PolicyUnreadable."""
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
