"""The content of the files that a build copies, read with the uid of whose they are."""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ds01.errors import Ds01Error, NotFound, WrongUse
from ds01.images.ignore import Ignore, parse
from ds01.policy.units import readable_size
from ds01.system.as_user import run_for
from ds01.system.users import Account

MOST = 64 << 20  # bytes in all; code and settings are far smaller, and data belongs into the workspace


def gather(
    account: Account,
    folder: Path,
    patterns: Sequence[str],
    *,
    ignored: str = "",
    always: Sequence[str] = (),
    most: int = MOST,
) -> dict[str, bytes]:
    """Return the files below `folder` that the patterns name, folders whole, by their paths from there. Root reads them
    as that person. Raises NotFound for a pattern that names nothing, WrongUse for too much or a link that leads out.

    `ignored` is the text of a `.dockerignore`, which does not hold for the names in `always`.
    """
    if not patterns:
        return {}
    wanted = _Wanted(parse(ignored), frozenset(always))
    said = run_for(account, partial(_as_text, folder, tuple(patterns), wanted, most))
    if said is None:
        raise Ds01Error(f"{folder} cannot be read", why="the file system does not answer")
    answer = json.loads(said)
    if "absent" in answer:
        why = ".dockerignore leaves it out, or all that is in it" if answer["ignored"] else None
        raise NotFound(f"the Dockerfile copies {answer['absent']}, which is not in {folder}", why=why)
    if "wrong" in answer:
        hint = "name in .dockerignore what the image does not need"
        raise WrongUse(answer["wrong"], why=answer["why"], hint=hint)
    if "problem" in answer:
        raise Ds01Error(f"{answer['path']} cannot be read", why=answer["problem"])
    return {name: base64.b64decode(content) for name, content in answer["found"].items()}


@dataclass(frozen=True)
class _Wanted:
    """Which files a build gets, by their paths from its folder."""

    ignore: Ignore
    always: frozenset[str]

    def file(self, name: str) -> bool:
        return name in self.always or not self.ignore.leaves_out(name)

    def folder(self, name: str) -> bool:
        return not self.ignore.leaves_out_all_below(name)


def _as_text(folder: Path, patterns: tuple[str, ...], wanted: _Wanted, most: int) -> str:
    try:
        return json.dumps({"found": _gather(folder, patterns, wanted, most)})
    except _Absent as error:
        return json.dumps({"absent": error.args[0], "ignored": error.args[1]})
    except _Wrong as error:
        return json.dumps({"wrong": error.args[0], "why": error.args[1]})
    except OSError as error:
        return json.dumps({"problem": error.strerror or str(error), "path": str(error.filename or folder)})


class _Absent(Exception):
    pass


class _Wrong(Exception):
    pass


def _gather(folder: Path, patterns: tuple[str, ...], wanted: _Wanted, most: int) -> dict[str, str]:
    found: dict[str, str] = {}
    inside = os.path.realpath(folder)
    size = 0
    for pattern in patterns:
        paths = sorted(folder.glob(pattern)) if any(letter in pattern for letter in "*?[") else [folder / pattern]
        if not paths or not all(os.path.lexists(path) for path in paths):
            raise _Absent(pattern, False)
        several = len(paths) > 1
        files = [file for start in paths for file in _files(start, folder, wanted)]
        if not files and not several and paths[0] != folder and wanted.ignore.rules and _has_files(paths[0]):
            raise _Absent(pattern, True)
        for path in files:
            name = path.relative_to(folder).as_posix()
            if name in found:
                continue
            if Path(inside) not in Path(os.path.realpath(path)).parents:
                raise _Wrong(f"{path} is a link that leads out of {folder}", "the build sees only what lies there")
            content = _content(path, most - size)
            size += len(content)
            found[name] = base64.b64encode(content).decode()
    return found


def _has_files(path: Path) -> bool:
    return not path.is_dir() or any(path.iterdir())


def _files(start: Path, top: Path, wanted: _Wanted) -> Iterator[Path]:
    """The files that are wanted, from one file or directory on."""
    if not start.is_dir():
        if wanted.file(start.relative_to(top).as_posix()):
            yield start
        return

    def stop(error: OSError) -> None:
        raise error

    def name_of(where: str, name: str) -> str:
        return Path(where, name).relative_to(top).as_posix()

    for where, folders, names in os.walk(start, onerror=stop):
        folders[:] = sorted(folder for folder in folders if wanted.folder(name_of(where, folder)))
        linked = next((folder for folder in folders if Path(where, folder).is_symlink()), None)
        if linked is not None:
            raise _Wrong(f"{Path(where, linked)} is a link to a folder", "the build gets files, and cannot follow it")
        yield from (Path(where, name) for name in sorted(names) if wanted.file(name_of(where, name)))


def _content(path: Path, left: int) -> bytes:
    # O_NONBLOCK: a pipe of that name would hang the open.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        content = file.read(left + 1) if status.st_size <= left else b""
        if status.st_size > left or len(content) > left:
            raise _Wrong(
                "what the Dockerfile copies is too large to send",
                f"at most {readable_size(MOST)} in all; {path} goes over it",
            )
        return content
