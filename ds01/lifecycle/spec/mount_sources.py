"""Resolve and check the host directories that a container mounts: the owner's, or listed in the policy."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, InvalidState, NotFound, PermissionDenied, UsageError
from ds01.system.as_user import run_as_account
from ds01.system.users import Account, Actor
from ds01.system.utf8 import expect_utf8

NO_ROOT = "it is on a file server that gives root no rights (root_squash), and Docker runs as root"
NO_ROOT_HINT = (
    "let others enter every directory above it, as with `chmod o+x ~`; or ask an administrator to set `workspaces` in "
    "the policy to a local directory"
)


@dataclass(frozen=True)
class Folder:
    """A resolved directory. `identity`: device and inode, compared again after the create."""

    path: str
    identity: tuple[int, int]

    def is_still_there(self, owner: Account) -> bool:
        """Return whether the path is still the same directory: somebody may have replaced it by a link."""
        try:
            status = _stat_as_owner(self.path, owner, follow=False)
        except OSError:
            return False
        # A link in the place of a removed directory often gets the same inode, so the mode is checked too.
        return stat.S_ISDIR(status.mode) and status.identity == self.identity


@dataclass(frozen=True)
class _Status:
    """The status of a path after resolving links: real path, mode, owner, device and inode."""

    real: str
    mode: int
    uid: int
    identity: tuple[int, int]


def exists(path: str, *, owner: Account) -> bool:
    """Return whether the path exists after resolving links; True if that cannot be determined."""
    try:
        _stat_as_owner(path, owner)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # `resolve` reports the problem
    return True


def _stat_as_owner(path: str, owner: Account, *, follow: bool = True) -> _Status:
    """Return the status as the caller sees it, or, if denied, as the owner does: many file servers give root no rights.

    Raises OSError.
    """
    try:
        return _status(path, follow=follow)
    except PermissionError:
        if os.geteuid() in (0, owner.uid):
            text = run_as_account(owner, partial(_status_as_text, path, follow=follow))
            if text is None:
                raise OSError(errno.ETIMEDOUT, "the file system does not answer") from None
            answer = json.loads(text)
            if "errno" in answer:
                raise OSError(answer["errno"], os.strerror(answer["errno"])) from None
            return _Status(answer["real"], answer["mode"], answer["uid"], tuple(answer["identity"]))
        raise


def _status(path: str, *, follow: bool) -> _Status:
    real = os.path.realpath(path, strict=True) if follow else path
    status = Path(real).lstat()
    return _Status(real, status.st_mode, status.st_uid, (status.st_dev, status.st_ino))


def _status_as_text(path: str, *, follow: bool) -> str:
    try:
        return json.dumps(vars(_status(path, follow=follow)))
    except OSError as error:
        return json.dumps({"errno": error.errno})


def check_docker_enters(path: str) -> None:
    """Raise InvalidState if root cannot reach a path: then dockerd, which runs as root, cannot mount it either.

    Only root can check that; other users get Docker's own refusal.
    """
    if os.geteuid() != 0:
        return
    try:
        Path(path).lstat()
    except PermissionError:
        raise InvalidState(f"Docker cannot enter {path}", why=NO_ROOT, hint=NO_ROOT_HINT) from None
    except OSError:
        return


def resolve(path: str, *, owner: Account, allowed: Iterable[str], also_uid: int | None = None) -> Folder:
    """Return the directory after resolving all links. `also_uid`: another uid whose directories may be mounted.

    Raises UsageError for a relative path, NotFound, PermissionDenied if it is neither the owner's nor below `allowed`.
    """
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"{path!r} is not an absolute path")
    try:
        status = _stat_as_owner(path, owner)
    except PermissionError as error:
        raise PermissionDenied(
            f"the directory {path} cannot be mounted",
            why=f"neither you nor {owner.login} can read it: {error.strerror}",
            hint=f"run this as {owner.login} or as root",
            code="mount.denied",
        ) from error
    except OSError as error:
        raise NotFound(f"the directory {path} cannot be mounted", why=error.strerror) from error
    real = status.real
    if not stat.S_ISDIR(status.mode):
        raise UsageError(f"{path} is not a directory")
    expect_utf8(real, f"the directory {path}")
    if ":" in real:
        raise UsageError(f"{real} contains a colon, so Docker cannot mount it")
    listed = any(Path(real).is_relative_to(os.path.realpath(folder)) for folder in allowed)
    if status.uid not in (owner.uid, also_uid) and not listed:
        raise PermissionDenied(
            f"{path} may not be mounted",
            why=f"{real} belongs to uid {status.uid}, not to {owner.login} (uid {owner.uid})",
            hint="mount a directory of your own; an administrator can allow others under `mounts` in the policy",
            code="mount.denied",
        )
    check_docker_enters(real)
    return Folder(real, status.identity)


def make(path: str, *, owner: Account, actor: Actor, usual: bool = True) -> None:
    """Create a missing directory and its parents as the owner. Raises Ds01Error, PermissionDenied.

    `usual`: it is below the owner's usual workspaces, not a place of their choice.
    """
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"{path!r} is not an absolute path")
    if os.path.lexists(path) or exists(path, owner=owner):
        return
    if os.geteuid() not in (0, owner.uid):
        raise PermissionDenied(
            f"the workspace {path} does not exist",
            why=f"{actor.login} cannot create a directory for {owner.login}",
            hint=f"create it as {owner.login} or as root",
            code="access.denied",
        )
    problem = run_as_account(owner, partial(_make, path))
    if problem != "":
        raise Ds01Error(
            f"the workspace {path} cannot be created",
            why=problem or "the file system does not answer",
            hint=f"`sudo ds01 user add {owner.login}` prepares the place for it"
            if usual
            else f"choose a directory in which {owner.login} may write",
        )


def _make(path: str) -> str:
    try:
        Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""
