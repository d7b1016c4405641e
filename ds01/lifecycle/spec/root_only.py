"""Warn about programs of an image below /root, which only root may enter: the owner cannot start them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from posixpath import dirname, join, normpath

from ds01.engines.protocol import PathStatus

Stat = Callable[[str], PathStatus | None]

ROOT = "/root"
_OTHERS_ENTER = 0o001
_PYTHONS = ("python", "python3")
# Not checked: distributions put no links to /root there, and each check is a request to Docker.
_OF_THE_SYSTEM = frozenset({"/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/nvidia/bin"})


def warning(image: str, uid: int, environment: Mapping[str, str], stat: Stat) -> str | None:
    """Return the warning for an image whose programs the owner cannot start, with the line that fixes it, or None.

    `stat` returns the status of a path inside. The usual case is a conda or uv environment that root created.
    """
    if uid == 0:
        return None
    folders = [normpath(part) for part in environment.get("PATH", "").split(":") if part.startswith("/")]
    findings = [(f"PATH has {folder}", folder) for folder in folders if _is_below(folder)]
    candidates = [folder for folder in folders if not _is_below(folder) and folder not in _OF_THE_SYSTEM]
    for program in (join(folder, name) for folder in candidates for name in _PYTHONS):
        status = stat(program)
        if status is not None and status.link is not None and _is_below(status.link):
            findings.append((f"{program} links to {status.link}", dirname(status.link)))
    top = stat(ROOT) if findings else None
    if top is None or top.mode & _OTHERS_ENTER:
        return None
    closed = dict.fromkeys(path for _, folder in findings for path in _closed(folder, stat))
    why = "; ".join(dict.fromkeys(reason for reason, _ in findings))
    return (
        f"{image} has programs below {ROOT}, which only root may enter, and you are not root inside ({why}). "
        f"This line at the end of its Dockerfile fixes it: RUN chmod a+rx {' '.join(closed)}"
    )


def _is_below(path: str) -> bool:
    return path == ROOT or path.startswith(f"{ROOT}/")


def _closed(folder: str, stat: Stat) -> list[str]:
    """Return the directories from /root down to `folder` that other users may not enter."""
    paths = [folder]
    while paths[-1] != ROOT:
        paths.append(dirname(paths[-1]))
    statuses = [(path, stat(path)) for path in reversed(paths)]
    return [path for path, status in statuses if status is not None and not status.mode & _OTHERS_ENTER]
