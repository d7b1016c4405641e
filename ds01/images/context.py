"""Build contexts for Docker: a tar archive of the files that a Dockerfile names."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping

from ds01.errors import UsageError
from ds01.images.instructions import Instruction, parse_instructions

CHUNK_BYTES = 256 << 10  # bytes; small enough to be sent while the archive is created
_PROGRAMS = (b"#!", b"\x7fELF")
_WHOLE_PATTERN = re.compile(r"(\./)*(\.|\*{1,2}|\*\.\*)?/*")


def pack_tar(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield a tar archive in pieces. The same files give the same bytes: owner root, year 1970, mode 0644.

    Files that start like a program get mode 0755, since Docker copies modes.
    """
    for name in sorted(files):
        content = files[name]
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        entry.mode = 0o755 if content.startswith(_PROGRAMS) else 0o644
        yield entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]
        if len(content) % tarfile.BLOCKSIZE:
            yield bytes(tarfile.BLOCKSIZE - len(content) % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


WHOLE_DIRECTORY = "."  # the Dockerfile's directory with everything in it


def copied_paths(dockerfile_text: str, *, allow_whole: bool = False) -> tuple[str, ...]:
    """Return the files, directories and patterns that a Dockerfile copies, without `./` and a slash at the end.

    Raises UsageError for paths outside its directory. `allow_whole`: the whole directory may be copied, since a
    `.dockerignore` says what is left out; otherwise that is an error too.
    """
    found: dict[str, None] = {}
    for instruction in parse_instructions(dockerfile_text):
        if instruction.word in ("COPY", "ADD"):
            found.update(dict.fromkeys(_checked_source(source, allow_whole) for source in _sources(instruction)))
    return tuple(found)


def _sources(instruction: Instruction) -> list[str]:
    words = instruction.rest.split()
    flags = [word for word in words if word.startswith("--")]
    if any(flag.startswith("--from=") for flag in flags):
        return []
    rest = instruction.rest
    while rest.startswith("--"):
        rest = rest.partition(" ")[2].lstrip()
    sources = (_json_words(rest) or rest.split())[:-1]
    # Here-documents, and URLs of ADD.
    return [source for source in sources if not re.match(r"<<|[a-z+]+://|git@", source)]


def _json_words(rest: str) -> list[str] | None:
    """Return the words of the form `["a b", "c"]`, or None."""
    try:
        words = json.loads(rest)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _checked_source(source: str, allow_whole: bool) -> str:
    if len(source) > 1 and source[0] == source[-1] and source[0] in "'\"":
        source = source[1:-1]
    if _WHOLE_PATTERN.fullmatch(source) and allow_whole:
        return WHOLE_DIRECTORY
    if _WHOLE_PATTERN.fullmatch(source):
        raise UsageError(
            f"the Dockerfile copies its whole directory (COPY {source})",
            why="everything in it would be sent to Docker, data and models too",
            hint="name what the image needs: COPY src requirements.txt /app/; or list the rest in a .dockerignore",
        )
    if source.startswith("/") or ".." in source.split("/"):
        raise UsageError(
            f"the Dockerfile copies {source}, which is not beside it",
            why="Docker sees only the Dockerfile's directory",
            hint="put the file beside the Dockerfile, and give its path from there, without a leading slash",
        )
    if re.search(r"[$\\'\"]|\*\*", source):
        raise UsageError(f"ds01 cannot tell what the Dockerfile copies with {source}", hint="name the files one by one")
    parts = [part for part in source.split("/") if part not in ("", ".")]
    return "/".join(parts)
