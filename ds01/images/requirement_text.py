"""Decode requirements files as pip does, and recognise files of other kinds."""

from __future__ import annotations

import codecs
import re

from ds01.dataclass import dataclass
from ds01.errors import UsageError

# Longer marks first: UTF-32's begins like UTF-16's.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_FREEZE = "`pip list --format=freeze > requirements.txt` writes a list that other computers can use; run it "
_CONDA_YAML = re.compile(r"^(channels|dependencies|prefix)\s*:", re.MULTILINE)
# Not an option with a URL, like --index-url=https://HOST/simple?key=value.
_CONDA_EXPORT = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*=[^=\s]+=[^=\s]+\s*$", re.MULTILINE)
_CONDA_FILE = re.compile(r"^[A-Za-z0-9_.-]+ @ file://", re.MULTILINE)
_DEBIAN = re.compile(r"^pkg[-_.]resources\s*==\s*0\.0\.0\b", re.MULTILINE | re.IGNORECASE)
_TOML = re.compile(
    r"^\[+\s*(project|build-system|tool\.[\w.-]+|source|packages|dev-packages|package|metadata)\s*\]+", re.M
)
_SETUP = re.compile(r"^(from setuptools|import setuptools|from distutils|setup\()", re.MULTILINE)


@dataclass(frozen=True)
class DecodedText:
    """A file's text, and the encoding in which to write it again."""

    text: str
    encoding: str
    errors: str = "strict"

    def encode(self, text: str) -> bytes:
        """Encode another text in this file's encoding. Raises UsageError."""
        try:
            return text.encode(self.encoding, self.errors)
        except UnicodeEncodeError as error:
            raise UsageError(f"{text[error.start]!r} does not exist in the file's encoding {self.encoding}") from None


def decode_requirements(content: bytes, name: str = "the requirements file") -> DecodedText:
    """Decode a requirements file by its byte order mark or a coding line at its top, else as UTF-8.

    Raises UsageError, naming the line that is not in that encoding.
    """
    encoding = next((encoding for mark, encoding in _BOMS if content.startswith(mark)), None)
    for line in content.split(b"\n")[:2] if encoding is None else ():
        found = _CODING.search(line) if line[:1] == b"#" else None
        if found is not None:
            encoding = found[1].decode("ascii", "replace")
            break
    try:
        return DecodedText(content.decode(encoding or "utf-8"), encoding or "utf-8")
    except LookupError:
        raise UsageError(f"{name} has an encoding that Python does not support: {encoding}") from None
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{name} is not in {encoding or 'UTF-8'}",
            why=f"line {number} cannot be decoded",
            hint="save it as UTF-8, or name its encoding in the first line: # -*- coding: latin-1 -*-",
        ) from None


def check_is_requirements(text: str) -> None:
    """Raise UsageError for a file that is not a requirements file, or that refers to files of another computer."""
    if _CONDA_YAML.search(text) and not _TOML.search(text):
        raise UsageError(
            "this is a conda environment, not a requirements file for pip",
            why="only conda reads its sections, `dependencies:` or `channels:`",
            hint=f"{_FREEZE}in that environment",
        )
    if text.lstrip().startswith("@EXPLICIT") or "\n@EXPLICIT" in text or _CONDA_EXPORT.search(text):
        raise UsageError(
            "this is a list of conda packages, not a requirements file for pip",
            why="its lines have the form NAME=VERSION=BUILD, or addresses of conda's packages",
            hint=f"{_FREEZE}in that environment",
        )
    files = _CONDA_FILE.findall(text)
    if files:
        raise UsageError(
            f"{len(files)} of the requirements are files on the computer where the list was written",
            why=f"the first is {files[0].partition(' ')[0]} @ file://…: `pip freeze` in conda writes such lines",
            hint=f"{_FREEZE}where the list was written",
        )
    if _DEBIAN.search(text):
        raise UsageError(
            "the requirements file has pkg_resources==0.0.0, which no package index has",
            why="a bug of `pip freeze` on older Debian and Ubuntu systems",
            hint="remove that line; the rest of the file can stay",
        )
    if _TOML.search(text) or _SETUP.search(text):
        raise UsageError(
            "this file describes a project; it is not a requirements file for pip",
            why="it is a TOML file or a setup.py",
            hint="list the packages that the project needs, one per line",
        )
