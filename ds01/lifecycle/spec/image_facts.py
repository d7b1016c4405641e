"""Gather the facts about an image, with functions that read a new container's files, and explain a missing shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ds01.engines.protocol import PathStatus
from ds01.errors import Ds01Error, EngineRejected, PermissionDenied
from ds01.lifecycle.spec import root_only
from ds01.records.image_facts import BASH, SH, ImageFacts

Read = Callable[[str], bytes | None]
Stat = Callable[[str], PathStatus | None]


def gather(environment: Mapping[str, str], read: Read, stat: Stat) -> ImageFacts:
    """Return the facts about the image of a container in which nothing was changed.

    `environment`: the image's variables. `read` returns the content of a file inside, `stat` the status of a path; None
    if there is none.
    """
    passwd = _text(read("/etc/passwd"))
    shell = _shell(passwd, stat)
    if shell is None:
        return ImageFacts(None, passwd, None, None)
    group = _text(read("/etc/group"))
    try:
        closed = root_only.closed_programs(environment, stat)
    except EngineRejected:  # a missing warning must not fail the create
        closed = None
    return ImageFacts(shell, passwd, group, closed)


def no_shell_error(image: str) -> PermissionDenied:
    """Return the error for an image without a shell."""
    return PermissionDenied(
        f"the image {image} has no shell",
        why="it has no /bin/sh, which ds01 needs in every container",
        hint="build an image on top of it that has a shell",
    )


def explain_missing_shell(image: str, error: Ds01Error) -> PermissionDenied | None:
    """Return the error for a start that failed because there is no shell after all; None for other errors."""
    data = error.data or {}
    return no_shell_error(image) if (data.get("problem"), data.get("program")) == ("no_program", "sh") else None


def _shell(passwd: str | None, stat: Stat) -> str | None:
    """Return bash if the image has it, else sh. Where root uses bash, nobody has to look: it and sh come together.

    An image whose /etc/passwd was copied from another one can lack both; then the start fails, and is explained.
    """
    root = next((fields for line in (passwd or "").splitlines() if (fields := line.split(":"))[0] == "root"), [])
    if root[6:] == [BASH]:
        return BASH
    if stat(SH) is None:
        return None
    return BASH if stat(BASH) is not None else SH


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "surrogateescape")
