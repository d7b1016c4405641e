"""Which of a person's Unix groups own directories that a container mounts: only these are of use inside."""

from __future__ import annotations

import grp
import json
import os
import stat
import time
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ds01.system.as_user import run_for
from ds01.system.users import Account

# Groups that stand for rights over the machine. Nothing that is mounted may be reached by way of these.
NEVER = frozenset(
    {
        "root", "docker", "podman", "containerd", "sudo", "wheel", "admin", "adm", "disk", "shadow", "kmem", "mem",
        "tty", "tape", "lxd", "lxc", "libvirt", "libvirt-qemu", "kvm", "video", "render", "input", "systemd-journal",
        "backup", "operator", "staff", "bin", "sys", "daemon", "lp", "lpadmin", "dialout", "netdev", "plugdev",
        "cdrom", "floppy", "fuse", "crontab", "ssh", "_ssh", "ssl-cert", "utmp", "utempter", "wireshark",
        "sambashare", "mail", "news", "proxy", "www-data", "nogroup", "nobody",
    }
)  # fmt: skip
FIRST_ORDINARY = 1000  # the smallest gid of groups of people, as login.defs has it
LARGEST_WALK = 5000  # directories
LONGEST_WALK = 1.0  # seconds; a mounted tree can be a file server


@dataclass(frozen=True)
class HostGroup:
    """A Unix group of the host."""

    gid: int
    name: str


def groups_of_directories(owner: Account, directories: Iterable[str]) -> tuple[HostGroup, ...]:
    """Return the owner's groups, besides the primary one, that own a directory in these trees, by gid.

    The trees are walked with the owner's rights. One too large to be walked whole gets all groups of people that the
    owner is in: one of them may own what was not looked at.
    """
    candidates = {group.gid: group for group in _groups(owner)}
    if not candidates:
        return ()
    found = run_for(owner, partial(_walk, tuple(directories), frozenset(candidates)))
    answer: dict[str, Any] = {"gids": [], "whole": False} if found is None else json.loads(found)
    gids = set(answer["gids"])
    if not answer["whole"]:
        gids |= {gid for gid in candidates if gid >= FIRST_ORDINARY}
    return tuple(candidates[gid] for gid in sorted(gids))


def _groups(owner: Account) -> Iterable[HostGroup]:
    for gid in os.getgrouplist(owner.login, owner.gid):
        if gid in (0, owner.gid):
            continue
        try:
            name = grp.getgrgid(gid).gr_name
        except (KeyError, OverflowError):
            continue  # a number without a name could be any of those that are never given
        if name not in NEVER:
            yield HostGroup(gid, name)


def _walk(directories: Collection[str], wanted: frozenset[int]) -> str:
    """Look for directories of the groups `wanted`, those at the top first. What cannot be read is passed over."""
    found: set[int] = set()
    waiting = deque(directories)
    until = time.monotonic() + LONGEST_WALK
    seen = 0
    while waiting and found != wanted and seen < LARGEST_WALK and time.monotonic() < until:
        path = waiting.popleft()
        seen += 1
        try:
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                continue
            if status.st_gid in wanted:
                found.add(status.st_gid)
            with os.scandir(path) as entries:
                waiting.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
    return json.dumps({"gids": sorted(found), "whole": not waiting or found == wanted})
