"""The facts about images that a container was created from: one file per image id, below `image-facts/`.

This is a cache. A file that is missing, unreadable, too large or malformed only means that the engine is asked again,
and a disk that is full or read-only only that it is asked each time.

Whoever can write here decides which other accounts, and which shell, everybody's next containers of an image have. In
direct mode these are the members of the group docker, who are equivalent to root anyway; with the service, root only.
The owner's login, uid and gid never come from here.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.records.image_facts import ImageFacts
from ds01.system import files
from ds01.system.data import DataError, from_json, parse_json, to_json

SCHEMA = 1  # to be increased whenever facts are gathered by other rules: files of other schemas are ignored
UNUSED_RETENTION = 30 * 86400.0  # seconds
TOUCH_INTERVAL = 86400.0  # seconds; how exact the time of the last use is

_ID = re.compile(r"sha256:(?P<digest>[0-9a-f]{64})")
_NAME = re.compile(r"[0-9a-f]{64}\.json")


@dataclass(frozen=True)
class _Document:
    """The content of a file. `image` protects against a file under another image's name."""

    schema: int
    image: str
    facts: ImageFacts


class KnownImages:
    """The directory of the facts. A file's mtime is the time of its last use, by the machine's clock."""

    def __init__(self, folder: Path, *, folder_mode: int, file_mode: int) -> None:
        self._folder = folder
        self._folder_mode = folder_mode
        self._file_mode = file_mode

    def get(self, image_id: str | None) -> ImageFacts | None:
        """Return an image's facts; None if they are not known."""
        path = self._path(image_id)
        if path is None:
            return None
        try:
            document = from_json(_Document, parse_json(files.read(path)))
        except (OSError, DataError):
            return None
        facts = document.facts
        if document.schema != SCHEMA or document.image != image_id or not facts.is_complete or not _is_text(facts):
            return None
        _touch(path)
        return facts

    def put(self, image_id: str | None, facts: ImageFacts) -> None:
        """Store an image's facts if they are complete; errors are ignored."""
        path = self._path(image_id)
        if path is None or image_id is None or not facts.is_complete:
            return
        content = json.dumps(to_json(_Document(SCHEMA, image_id, facts))).encode() + b"\n"
        if len(content) > files.MAX_FILE_BYTES:
            return  # it could not be read again
        with suppress(OSError):
            files.make_directory(self._folder, mode=self._folder_mode)
            # Not durable: a file that a power cut left empty does not parse.
            files.replace(path, content, mode=self._file_mode, durable=False)

    def delete_unused(self, *, longer_than: float = UNUSED_RETENTION) -> None:
        """Delete the facts that were not used for so many seconds, and what killed commands left."""
        oldest_kept = time.time() - longer_than
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    is_file = entry.is_file(follow_symlinks=False) and _NAME.fullmatch(entry.name)
                    if is_file and entry.stat(follow_symlinks=False).st_mtime < oldest_kept:
                        Path(entry.path).unlink()
        files.delete_stale_temporaries(self._folder)

    def _path(self, image_id: str | None) -> Path | None:
        """Return the path for an image; None for anything but a sha256 id, which never becomes a file name."""
        match = _ID.fullmatch(image_id or "")
        return None if match is None else self._folder / f"{match['digest']}.json"


def _is_text(facts: ImageFacts) -> bool:
    """Return whether the texts can be written as the bytes that they were read from."""
    try:
        for text in (facts.passwd, facts.group):
            (text or "").encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _touch(path: Path) -> None:
    """Record a use, about once a day."""
    with suppress(OSError):  # the disk is read-only: nothing is deleted there either
        if abs(time.time() - path.lstat().st_mtime) > TOUCH_INTERVAL:
            os.utime(path, follow_symlinks=False)  # now: explicit times only the file's owner may set
