"""Warn about programs of an image below /root, which only root may enter: the owner cannot start them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from posixpath import dirname, join, normpath

from ds01.engines.protocol import PathStatus
from ds01.lifecycle.spec.compose import MOUNT_TARGETS
from ds01.records.image_facts import NONE_CLOSED, ClosedPrograms

Stat = Callable[[str], PathStatus | None]

ROOT = "/root"
_OTHERS_ENTER = 0o001
_PYTHONS = ("python3", "python")  # environments have both or the first, so that one is looked for first
# Not checked: distributions put no links to /root there, and each check is a request to Docker.
_OF_THE_SYSTEM = frozenset(
    {
        "/usr/local/sbin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
        "/usr/local/nvidia/bin",
        "/usr/local/cuda/bin",
    }
)


def warning(image: str, uid: int, closed: ClosedPrograms | None) -> str | None:
    """Return the warning for an image with programs that the owner cannot start, with the line that fixes it, or None.

    The usual case is a conda or uv environment that root created.
    """
    if uid == 0 or closed is None or not closed.directories:
        return None
    return (
        f"{image} has programs below {ROOT}, which only root may enter, and you are not root inside "
        f"({'; '.join(closed.reasons)}). "
        f"This line at the end of its Dockerfile fixes it: RUN chmod a+rx {' '.join(closed.directories)}"
    )


def closed_programs(environment: Mapping[str, str], stat: Stat) -> ClosedPrograms:
    """Return the programs of an image that only root can start.

    `environment`: the image's variables. `stat` returns the status of a path inside.
    """
    folders = [normpath(part) for part in environment.get("PATH", "").split(":") if part.startswith("/")]
    findings = [(f"PATH has {folder}", folder) for folder in folders if _is_below(folder, ROOT)]
    program, link = _first_python(folders, stat)
    if link is not None and _is_below(link, ROOT):
        findings.append((f"{program} links to {link}", dirname(link)))
    top = stat(ROOT) if findings else None
    if top is None or top.mode & _OTHERS_ENTER:
        return NONE_CLOSED
    closed = dict.fromkeys(path for _, folder in findings for path in _closed(folder, stat))
    return ClosedPrograms(tuple(dict.fromkeys(reason for reason, _ in findings)), tuple(closed))


def _first_python(folders: list[str], stat: Stat) -> tuple[str | None, str | None]:
    """Return the first Python in the order of PATH, and the target if it is a link; (None, None) if there is none.

    That is the one that runs, and each further look would be a request to Docker. Mounted directories are left out,
    since what is there is not the image's.
    """
    for folder in dict.fromkeys(folders):
        if folder in _OF_THE_SYSTEM or any(_is_below(folder, top) for top in (ROOT, *MOUNT_TARGETS)):
            continue
        for program in (join(folder, name) for name in _PYTHONS):
            status = stat(program)
            if status is not None:
                return program, status.link
    return None, None


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def _closed(folder: str, stat: Stat) -> list[str]:
    """Return the directories from /root down to `folder` that other users may not enter."""
    paths = [folder]
    while paths[-1] != ROOT:
        paths.append(dirname(paths[-1]))
    statuses = [(path, stat(path)) for path in reversed(paths)]
    return [path for path, status in statuses if status is not None and not status.mode & _OTHERS_ENTER]
