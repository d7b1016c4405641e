"""Match an account with the policy: by its login, by other spellings of it, and by its Unix groups.

SSSD and Active Directory know one person under several spellings (`ameier`, `AMeier`, `ameier@uni.example`), and only
the user database can tell whose a spelling is. Names are looked up only if the policy makes them matter: a person
may be in hundreds of directory groups, and each look-up may be a query to a server.
"""

from __future__ import annotations

from dataclasses import replace

from ds01.policy.model import Policy, Reservation
from ds01.system.users import Account, Users


def resolve_account(policy: Policy, account: Account, users: Users) -> Account:
    """Return the account with the Unix groups of the policy that it is in, and the policy's other spellings of it."""
    spellings = frozenset(
        name for name in _candidate_spellings(policy, account.login) if users.uid_of(name) == account.uid
    )
    return replace(account, groups=users.groups_of(account, unix_groups(policy)), spellings=spellings)


def unix_groups(policy: Policy) -> frozenset[str]:
    """Return the Unix groups that the policy names."""
    return frozenset(name for group in policy.groups.values() for name in group.unix_groups)


def login_stem(login: str) -> str:
    """Return a login without its domain, in lower case: `ameier` for `UNI\\AMeier` and `ameier@uni.example`."""
    return login.rpartition("\\")[2].partition("@")[0].casefold()


def resolve_reservations(policy: Policy, users: Users) -> tuple[Reservation, ...]:
    """Return the reservations, each user under the server's spelling of the login; unknown logins are kept."""
    return tuple(
        item if item.user is None else replace(item, user=users.canonical_login(item.user))
        for item in policy.reservations
    )


def _candidate_spellings(policy: Policy, login: str) -> frozenset[str]:
    """Return the names that could be other spellings of `login`.

    If the policy has the login itself, nothing else is needed; most policies spell people as the server does. But admin
    rights come from any group, and exemptions add up, so for those every name counts.
    """
    groups = policy.groups.values()
    is_grouped = any(login in group.members for group in groups)
    names = {name for group in groups if group.admin or not is_grouped for name in group.members}
    if login not in policy.user_overrides:
        names |= set(policy.user_overrides)
    names |= {item.user for item in policy.exemptions}
    return frozenset(names - {login})
