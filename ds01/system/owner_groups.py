"""Find which of an owner's Unix groups own directories that a container mounts: only these are useful inside."""

from __future__ import annotations

import grp
import json
import os
import stat
import time
from collections import deque
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from ds01.dataclass import dataclass
from ds01.system.as_user import run_as_account
from ds01.system.users import Account

# Groups with rights over the machine. A container never gets them, so they give no access to mounts.
PRIVILEGED_GROUPS = frozenset(
    {
        "root", "docker", "podman", "containerd", "sudo", "wheel", "admin", "adm", "disk", "shadow", "kmem", "mem",
        "tty", "tape", "lxd", "lxc", "libvirt", "libvirt-qemu", "kvm", "video", "render", "input", "systemd-journal",
        "backup", "operator", "staff", "bin", "sys", "daemon", "lp", "lpadmin", "dialout", "netdev", "plugdev",
        "cdrom", "floppy", "fuse", "crontab", "ssh", "_ssh", "ssl-cert", "utmp", "utempter", "wireshark",
        "sambashare", "mail", "news", "proxy", "www-data", "nogroup", "nobody",
    }
)  # fmt: skip
MIN_USER_GID = 1000  # the smallest gid of groups of people (GID_MIN in login.defs)
MAX_DIRECTORIES = 5000  # directories
MAX_WALK_SECONDS = 1.0  # seconds; a mounted tree can be a file server


@dataclass(frozen=True)
class HostGroup:
    """A Unix group of the host."""

    gid: int
    name: str


def groups_of_directories(owner: Account, directories: Iterable[str]) -> tuple[HostGroup, ...]:
    """Return the owner's groups, besides the primary one, that own a directory in these trees, by gid.

    The trees are walked with the owner's rights. If they are too large to walk, all of the owner's groups of people are
    returned, since any of them may own an unvisited directory.
    """
    candidates = {group.gid: group for group in _candidate_groups(owner)}
    if not candidates:
        return ()
    found = run_as_account(owner, partial(_find_group_directories, tuple(directories), frozenset(candidates)))
    result: dict[str, Any] = {"gids": [], "whole": False} if found is None else json.loads(found)
    gids = set(result["gids"])
    if not result["whole"]:
        gids |= {gid for gid in candidates if gid >= MIN_USER_GID}
    return tuple(candidates[gid] for gid in sorted(gids))


def _candidate_groups(owner: Account) -> Iterable[HostGroup]:
    for gid in os.getgrouplist(owner.login, owner.gid):
        if gid in (0, owner.gid):
            continue
        try:
            name = grp.getgrgid(gid).gr_name
        except (KeyError, OverflowError):
            continue  # a gid without a name could be one of the excluded groups
        if name not in PRIVILEGED_GROUPS:
            yield HostGroup(gid, name)


def _find_group_directories(directories: Collection[str], wanted_gids: frozenset[int]) -> str:
    """Search for directories of the groups, top levels first. Unreadable directories are skipped."""
    found: set[int] = set()
    queue = deque(directories)
    deadline = time.monotonic() + MAX_WALK_SECONDS
    visited = 0
    while queue and found != wanted_gids and visited < MAX_DIRECTORIES and time.monotonic() < deadline:
        path = queue.popleft()
        visited += 1
        try:
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                continue
            if status.st_gid in wanted_gids:
                found.add(status.st_gid)
            with os.scandir(path) as entries:
                queue.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
    return json.dumps({"gids": sorted(found), "whole": not queue or found == wanted_gids})
