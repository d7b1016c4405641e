"""Build names: slices from group and login, containers from name and uid. Pure functions on strings."""

from __future__ import annotations

import hashlib
import re

from ds01.errors import UsageError

NAME_FORM = "lower-case letters, digits, - and _, beginning with a letter or digit, at most 63 characters"
GROUP_FORM = "lower-case letters, digits and _, beginning with a letter, at most 64 characters"

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
GROUP_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CONTAINER = re.compile(rf"({NAME_PATTERN.pattern})\._\.(0|[1-9][0-9]{{0,9}})")
_HIGHEST_UID = 2**32 - 2  # the kernel reserves the last one for "no uid"

_SLICE_USER = re.compile(r"[a-z0-9_]{1,64}")
_HASHED = re.compile(r".*_[0-9a-f]{8}")


def fold_name(text: str) -> tuple[str, bool]:
    """Return a container name from user input (lower case, spaces to `-`), and whether that changed anything.

    Raises ValueError if the result is not a valid name.
    """
    name = "".join(letter.lower() if letter.isascii() else letter for letter in text).replace(" ", "-")
    return _require_match(NAME_PATTERN, name, "container name", NAME_FORM), name != text


def parse_name(text: str, what: str) -> str:
    """Return the folded name from user input; `what` names its kind in the error. Raises UsageError."""
    try:
        return fold_name(text)[0]
    except ValueError:
        shown = text if len(text) < 80 else f"{text[:80]}…"
        raise UsageError(f"invalid {what} '{shown}'", why=f"allowed: {NAME_FORM}") from None


def container_name(name: str, uid: int) -> str:
    """Return the Docker name `NAME._.UID`. Raises ValueError."""
    return f"{_require_match(NAME_PATTERN, name, 'container name', NAME_FORM)}._.{_require_uid(uid)}"


def split_container_name(full: str) -> tuple[str, int] | None:
    """Return name and uid of a Docker name; None if it does not have the form `NAME._.UID`."""
    found = _CONTAINER.fullmatch(full)
    if found is None or int(found[2]) > _HIGHEST_UID:
        return None
    return found[1], int(found[2])


def slice_name(group: str, login: str, uid: int) -> str:
    """Return the systemd slice of a user, `ds01-GROUP-USER.slice`. Raises ValueError for an invalid group name."""
    return f"{_group_stem(group)}-{_user_part(login, uid)}.slice"


def group_slice(group: str) -> str:
    """Return the systemd slice of a group, `ds01-GROUP.slice`, which is inside `ds01.slice`. Raises ValueError."""
    return f"{_group_stem(group)}.slice"


def slice_path(group: str, login: str, uid: int) -> str:
    """Return the user's slice as a path below the cgroup root, for Docker's cgroupfs driver. Raises ValueError."""
    return f"{group_slice_path(group)}/{slice_name(group, login, uid)}"


def group_slice_path(group: str) -> str:
    """Return the group's slice as a path below the cgroup root. Raises ValueError."""
    return f"/ds01.slice/{group_slice(group)}"


def _group_stem(group: str) -> str:
    return f"ds01-{_require_match(GROUP_PATTERN, group, 'group name', GROUP_FORM)}"


def _user_part(login: str, uid: int) -> str:
    """Return the login if a slice name can contain it: a dash would add a level, a dot ends the name.

    Other logins, and those that look folded already, are folded and get a hash. Without a login: the uid.
    """
    if not login:
        return _user_part(f"uid:{_require_uid(uid)}", uid)
    if _SLICE_USER.fullmatch(login) and not _HASHED.fullmatch(login):
        return login
    digest = hashlib.sha256(login.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{re.sub('[^a-z0-9_]', '_', login.lower())[:55]}_{digest}"


def _require_match(pattern: re.Pattern[str], text: str, what: str, allowed: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"{text!a} is not a {what}; allowed: {allowed}")
    return text


def _require_uid(uid: int) -> int:
    if not 0 <= uid <= _HIGHEST_UID:
        raise ValueError(f"{uid} is not a uid; allowed: a number from 0 to {_HIGHEST_UID}")
    return uid
