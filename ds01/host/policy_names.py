"""Find names in the policy that this server lacks or spells differently: logins, Unix groups and slots."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches
from enum import Enum

from ds01.dataclass import dataclass
from ds01.gpus.model import Slot
from ds01.policy.identity import login_stem
from ds01.policy.model import Policy
from ds01.policy.resolve import is_in_force
from ds01.system.users import Users


class NameKind(str, Enum):
    """The kind of a name in the policy."""

    LOGIN = "login"
    UNIX_GROUP = "unix_group"
    SLOT = "slot"


@dataclass(frozen=True)
class NameFinding:
    """A name in the policy that needs attention. `places`: its keys.

    `known`: the server has it with the spelling `instead`. Otherwise it is missing; `instead`: a similar name or None.
    """

    kind: NameKind
    name: str
    places: tuple[str, ...]
    known: bool = False
    instead: str | None = None

    def __str__(self) -> str:
        where = ", ".join(self.places)
        if self.known:
            return f"{where}: {self.name} is {self.instead} on this server; it works, but use the server's spelling"
        missing = {
            NameKind.LOGIN: f"there is no user {self.name}",
            NameKind.UNIX_GROUP: f"there is no Unix group {self.name}",
            NameKind.SLOT: f"this server has no slot {self.name}; `ds01 gpu list` shows what it has",
        }[self.kind]
        return f"{where}: {missing}" + (f"; perhaps {self.instead}" if self.instead else "")


def check_names(
    policy: Policy, users: Users, now: datetime, *, slots: Collection[Slot] | None, logins: Collection[str] = ()
) -> tuple[NameFinding, ...]:
    """Return the problems with names in the policy. Entries that have ended by `now` do not count.

    `slots` None: the GPUs do not answer, so slots are not checked. `logins`: known logins, for suggestions.
    """
    findings = []
    places_of_logins = _logins(policy, now)
    logins = {*logins, *(users.canonical_login(login) for login in places_of_logins if users.uid_of(login) is not None)}
    for login, places in places_of_logins.items():
        canonical = users.canonical_login(login)
        if users.uid_of(login) is None and not _is_uid(login, places, users):
            findings.append(NameFinding(NameKind.LOGIN, login, places, instead=_near_login(login, logins)))
        elif canonical != login:
            findings.append(NameFinding(NameKind.LOGIN, login, places, known=True, instead=canonical))
    for name, places in _unix_groups(policy).items():
        if not users.has_group(name):
            findings.append(NameFinding(NameKind.UNIX_GROUP, name, places))
    if slots is not None:
        present = {slot.slot for slot in slots} | {str(slot.gpu) for slot in slots}
        for name, places in _slots(policy, now).items():
            if name not in present:
                findings.append(NameFinding(NameKind.SLOT, name, places))
    return tuple(findings)


def needs_gpus(policy: Policy, now: datetime) -> bool:
    """Return whether `check_names` needs the GPUs' slots."""
    return bool(_slots(policy, now))


def _logins(policy: Policy, now: datetime) -> dict[str, tuple[str, ...]]:
    """Return each login of the policy with its places."""
    places = [(login, f"groups.{group.name}") for group in policy.groups.values() for login in sorted(group.members)]
    places += [
        (login, "user_overrides") for login, item in policy.user_overrides.items() if is_in_force(item.until, now)
    ]
    places += [
        (item.user, f"reservations[{index}]")
        for index, item in enumerate(policy.reservations)
        if item.user is not None and now < item.end
    ]
    places += [
        (item.user, f"exemptions[{index}]")
        for index, item in enumerate(policy.exemptions)
        if is_in_force(item.until, now)
    ]
    return _group_places(places)


def _unix_groups(policy: Policy) -> dict[str, tuple[str, ...]]:
    groups = policy.groups.values()
    return _group_places([(name, f"groups.{group.name}") for group in groups for name in sorted(group.unix_groups)])


def _slots(policy: Policy, now: datetime) -> dict[str, tuple[str, ...]]:
    upcoming = ((index, item) for index, item in enumerate(policy.reservations) if now < item.end)
    return _group_places([(slot, f"reservations[{index}]") for index, item in upcoming for slot in item.slots])


def _group_places(places: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    grouped: dict[str, tuple[str, ...]] = {}
    for name, place in places:
        grouped[name] = (*grouped.get(name, ()), place)
    return grouped


def _is_uid(login: str, places: tuple[str, ...], users: Users) -> bool:
    """Return whether this is an existing uid, which only reservations may contain."""
    return users.has_uid(login) and all(place.startswith("reservations") for place in places)


def _near_login(login: str, known: Collection[str]) -> str | None:
    """Return the known login that was probably meant: equal except for case and domain, or else similar."""
    equal_logins = [other for other in sorted(known) if login_stem(other) == login_stem(login)]
    similar = equal_logins or get_close_matches(login, sorted(known), 1, cutoff=0.8)
    return similar[0] if similar else None
