"""The folders of the host that a container may see: resolved to their end, and the owner's or on the policy's list."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ds01.errors import Ds01Error, NotFound, Refused, WrongUse
from ds01.system.as_user import run_as
from ds01.system.texts import expect_utf8
from ds01.system.users import Account, Actor


@dataclass(frozen=True)
class Folder:
    """A resolved folder. `identity` is device and inode, to be compared after the container was made."""

    path: str
    identity: tuple[int, int]

    def is_still_there(self) -> bool:
        """Whether the path still leads to the same folder: a link may have been swapped in meanwhile."""
        try:
            status = Path(self.path).lstat()
        except OSError:
            return False
        # A link that takes a removed folder's place often gets its inode too.
        return stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) == self.identity


def resolve(path: str, *, owner: Account, allowed: Iterable[str], also_uid: int | None = None) -> Folder:
    """The folder at the end of all links. `also_uid`: whose folders may be mounted besides the owner's.

    Raises WrongUse for a relative path, NotFound, Refused if it is neither the owner's nor below `allowed`.
    """
    if not path.startswith("/") or "\0" in path:
        raise WrongUse(f"{path!r} is not an absolute path")
    try:
        real = os.path.realpath(path, strict=True)
        status = Path(real).lstat()
    except OSError as error:
        raise NotFound(f"the folder {path} cannot be mounted", why=error.strerror) from error
    if not stat.S_ISDIR(status.st_mode):
        raise WrongUse(f"{path} is not a folder")
    expect_utf8(real, f"the folder {path}")
    if ":" in real:
        raise WrongUse(f"{real} has a colon in it, which Docker cannot mount")
    listed = any(Path(real).is_relative_to(os.path.realpath(folder)) for folder in allowed)
    if status.st_uid not in (owner.uid, also_uid) and not listed:
        raise Refused(
            f"{path} may not be mounted",
            why=f"it leads to {real}, which belongs to uid {status.st_uid}, not to {owner.login} (uid {owner.uid})",
            hint="mount a folder of your own; an administrator can list others under `mounts` in the policy",
        )
    return Folder(real, (status.st_dev, status.st_ino))


def make(path: str, *, owner: Account, actor: Actor) -> None:
    """Make a folder and its parents with the owner's uid, if it is not there. Raises Ds01Error, Refused."""
    if not path.startswith("/") or "\0" in path:
        raise WrongUse(f"{path!r} is not an absolute path")
    if os.path.lexists(path):
        return
    if os.geteuid() not in (0, owner.uid):
        raise Refused(
            f"the workspace {path} is not there",
            why=f"{actor.login} cannot make a folder of {owner.login}",
            hint=f"{owner.login} makes it, or root",
        )
    problem = run_as(owner.uid, owner.gid, partial(_make, path))
    if problem != "":
        raise Ds01Error(f"the workspace {path} cannot be made", why=problem or "the file system does not answer")


def _make(path: str) -> str:
    try:
        Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""
