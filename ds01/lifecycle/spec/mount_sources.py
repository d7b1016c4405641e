"""The folders of the host that a container may see: resolved to their end, and the owner's or on the policy's list."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ds01.errors import Ds01Error, InvalidState, NotFound, PermissionDenied, UsageError
from ds01.system.as_user import run_as_account
from ds01.system.users import Account, Actor
from ds01.system.utf8 import expect_utf8

NO_ROOT = "it lies on a file server that gives root no rights (root_squash), and Docker runs as root"
NO_ROOT_HINT = (
    "let others pass through every directory above it, as with `chmod o+x ~`; or an administrator sets `workspaces` "
    "in the policy to a local directory"
)


@dataclass(frozen=True)
class Folder:
    """A resolved folder. `identity` is device and inode, to be compared after the container was made."""

    path: str
    identity: tuple[int, int]

    def is_still_there(self, owner: Account) -> bool:
        """Whether the path still leads to the same folder: a link may have been swapped in meanwhile."""
        try:
            status = _look(self.path, owner, follow=False)
        except OSError:
            return False
        # A link that takes a removed folder's place often gets its inode too.
        return stat.S_ISDIR(status.mode) and status.identity == self.identity


@dataclass(frozen=True)
class _Status:
    """What the file system says of a path: where its links lead, and whose the end is."""

    real: str
    mode: int
    uid: int
    identity: tuple[int, int]


def exists(path: str, *, owner: Account) -> bool:
    """Whether there is a file or directory at the end of all links. What cannot be looked at is taken to be there."""
    try:
        _look(path, owner)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # `resolve` says what is wrong
    return True


def _look(path: str, owner: Account, *, follow: bool = True) -> _Status:
    """Look as the caller, and where that is denied with the owner's rights: root has none on many file servers.

    Raises OSError.
    """
    try:
        return _status(path, follow=follow)
    except PermissionError:
        if os.geteuid() in (0, owner.uid):
            seen = run_as_account(owner, partial(_status_as_text, path, follow=follow))
            if seen is None:
                raise OSError(errno.ETIMEDOUT, "the file system does not answer") from None
            answer = json.loads(seen)
            if "errno" in answer:
                raise OSError(answer["errno"], os.strerror(answer["errno"])) from None
            return _Status(answer["real"], answer["mode"], answer["uid"], tuple(answer["identity"]))
        raise


def _status(path: str, *, follow: bool) -> _Status:
    real = os.path.realpath(path, strict=True) if follow else path
    found = Path(real).lstat()
    return _Status(real, found.st_mode, found.st_uid, (found.st_dev, found.st_ino))


def _status_as_text(path: str, *, follow: bool) -> str:
    try:
        return json.dumps(vars(_status(path, follow=follow)))
    except OSError as error:
        return json.dumps({"errno": error.errno})


def check_docker_enters(path: str) -> None:
    """Raise InvalidState if root cannot reach a path: then dockerd, which runs as root, cannot mount it either.

    Only root can tell; for others Docker's own refusal says it.
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
    """The folder at the end of all links. `also_uid`: whose folders may be mounted besides the owner's.

    Raises UsageError for a relative path, NotFound, PermissionDenied if it is neither the owner's nor below `allowed`.
    """
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"{path!r} is not an absolute path")
    try:
        status = _look(path, owner)
    except PermissionError as error:
        raise PermissionDenied(
            f"the directory {path} cannot be mounted",
            why=f"it cannot be looked at, neither with your rights nor with those of {owner.login}: {error.strerror}",
            hint=f"{owner.login} runs this, or root",
            code="mount.denied",
        ) from error
    except OSError as error:
        raise NotFound(f"the folder {path} cannot be mounted", why=error.strerror) from error
    real = status.real
    if not stat.S_ISDIR(status.mode):
        raise UsageError(f"{path} is not a folder")
    expect_utf8(real, f"the folder {path}")
    if ":" in real:
        raise UsageError(f"{real} has a colon in it, which Docker cannot mount")
    listed = any(Path(real).is_relative_to(os.path.realpath(folder)) for folder in allowed)
    if status.uid not in (owner.uid, also_uid) and not listed:
        raise PermissionDenied(
            f"{path} may not be mounted",
            why=f"it leads to {real}, which belongs to uid {status.uid}, not to {owner.login} (uid {owner.uid})",
            hint="mount a folder of your own; an administrator can list others under `mounts` in the policy",
            code="mount.denied",
        )
    check_docker_enters(real)
    return Folder(real, status.identity)


def make(path: str, *, owner: Account, actor: Actor, usual: bool = True) -> None:
    """Make a folder and its parents with the owner's uid, if it is not there. Raises Ds01Error, PermissionDenied.

    `usual`: it is where the owner's workspaces are, not a place of their choice.
    """
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"{path!r} is not an absolute path")
    if os.path.lexists(path) or exists(path, owner=owner):
        return
    if os.geteuid() not in (0, owner.uid):
        raise PermissionDenied(
            f"the workspace {path} is not there",
            why=f"{actor.login} cannot make a folder of {owner.login}",
            hint=f"{owner.login} makes it, or root",
            code="access.denied",
        )
    problem = run_as_account(owner, partial(_make, path))
    if problem != "":
        raise Ds01Error(
            f"the workspace {path} cannot be made",
            why=problem or "the file system does not answer",
            hint=f"`sudo ds01 user add {owner.login}` makes the place for it"
            if usual
            else f"name a directory in which {owner.login} may write",
        )


def _make(path: str) -> str:
    try:
        Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""
