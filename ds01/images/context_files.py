"""Read the files that a build copies, with their owner's uid."""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, NotFound, UsageError
from ds01.images.ignore import IgnoreRules, parse_ignore
from ds01.policy.units import readable_size
from ds01.system.as_user import run_as_account
from ds01.system.users import Account

MAX_CONTEXT_BYTES = 64 << 20  # bytes in total; code and settings are far smaller, and data belongs in the workspace


def read_context_files(
    account: Account,
    folder: Path,
    patterns: Sequence[str],
    *,
    ignore_text: str = "",
    always: Sequence[str] = (),
    max_bytes: int = MAX_CONTEXT_BYTES,
) -> dict[str, bytes]:
    """Return the files below `folder` that match the patterns, by relative path; directories are read recursively.

    Root reads them with the account's uid. `ignore_text` is the text of a `.dockerignore`, which does not apply to the
    names in `always`. Raises NotFound for a pattern without a match, UsageError above `max_bytes` and for links that
    lead outside.
    """
    if not patterns:
        return {}
    file_filter = _FileFilter(parse_ignore(ignore_text), frozenset(always))
    output = run_as_account(account, partial(_read_as_json, folder, tuple(patterns), file_filter, max_bytes))
    if output is None:
        raise Ds01Error(f"{folder} cannot be read", why="the file system does not answer")
    answer = json.loads(output)
    if "absent" in answer:
        why = ".dockerignore leaves it out, or everything in it" if answer["ignored"] else None
        raise NotFound(f"the Dockerfile copies {answer['absent']}, which is not in {folder}", why=why)
    if "wrong" in answer:
        hint = "list in .dockerignore what the image does not need"
        raise UsageError(answer["wrong"], why=answer["why"], hint=hint)
    if "problem" in answer:
        raise Ds01Error(f"{answer['path']} cannot be read", why=answer["problem"])
    return {name: base64.b64decode(content) for name, content in answer["found"].items()}


@dataclass(frozen=True)
class _FileFilter:
    """Decides which files a build gets, by their relative paths."""

    ignore: IgnoreRules
    always: frozenset[str]

    def file(self, name: str) -> bool:
        return name in self.always or not self.ignore.leaves_out(name)

    def folder(self, name: str) -> bool:
        return not self.ignore.leaves_out_all_below(name)


def _read_as_json(folder: Path, patterns: tuple[str, ...], file_filter: _FileFilter, max_bytes: int) -> str:
    try:
        return json.dumps({"found": _read_files(folder, patterns, file_filter, max_bytes)})
    except _MissingSource as error:
        return json.dumps({"absent": error.args[0], "ignored": error.args[1]})
    except _RejectedSource as error:
        return json.dumps({"wrong": error.args[0], "why": error.args[1]})
    except OSError as error:
        return json.dumps({"problem": error.strerror or str(error), "path": str(error.filename or folder)})


class _MissingSource(Exception):
    pass


class _RejectedSource(Exception):
    pass


def _read_files(folder: Path, patterns: tuple[str, ...], file_filter: _FileFilter, max_bytes: int) -> dict[str, str]:
    found: dict[str, str] = {}
    real_directory = os.path.realpath(folder)
    size = 0
    for pattern in patterns:
        paths = sorted(folder.glob(pattern)) if any(letter in pattern for letter in "*?[") else [folder / pattern]
        if not paths or not all(os.path.lexists(path) for path in paths):
            raise _MissingSource(pattern, False)
        is_pattern = len(paths) > 1
        files = [file for start in paths for file in _files(start, folder, file_filter)]
        if not files and not is_pattern and paths[0] != folder and file_filter.ignore.rules and _has_files(paths[0]):
            raise _MissingSource(pattern, True)
        for path in files:
            name = path.relative_to(folder).as_posix()
            if name in found:
                continue
            if Path(real_directory) not in Path(os.path.realpath(path)).parents:
                raise _RejectedSource(f"{path} is a link that leads out of {folder}", "the build sees only files in it")
            content = _content(path, max_bytes - size)
            size += len(content)
            found[name] = base64.b64encode(content).decode()
    return found


def _has_files(path: Path) -> bool:
    return not path.is_dir() or any(path.iterdir())


def _files(start: Path, top: Path, file_filter: _FileFilter) -> Iterator[Path]:
    """Yield the wanted files, starting at a file or directory."""
    if not start.is_dir():
        if file_filter.file(start.relative_to(top).as_posix()):
            yield start
        return

    def raise_error(error: OSError) -> None:
        raise error

    def name_of(where: str, name: str) -> str:
        return Path(where, name).relative_to(top).as_posix()

    for where, folders, names in os.walk(start, onerror=raise_error):
        folders[:] = sorted(folder for folder in folders if file_filter.folder(name_of(where, folder)))
        linked = next((folder for folder in folders if Path(where, folder).is_symlink()), None)
        if linked is not None:
            raise _RejectedSource(
                f"{Path(where, linked)} is a link to a directory", "the build gets files, and cannot follow it"
            )
        yield from (Path(where, name) for name in sorted(names) if file_filter.file(name_of(where, name)))


def _content(path: Path, remaining: int) -> bytes:
    # O_NONBLOCK: opening a FIFO would block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        content = file.read(remaining + 1) if status.st_size <= remaining else b""
        if status.st_size > remaining or len(content) > remaining:
            raise _RejectedSource(
                "what the Dockerfile copies is too large to send",
                f"at most {readable_size(MAX_CONTEXT_BYTES)} in total; {path} exceeds that",
            )
        return content
