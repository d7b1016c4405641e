"""`[tool.ds01]` in a project's pyproject.toml: what the project is, for ds01's commands and for people.

Python 3.10 has no parser for TOML. ds01 reads what it writes, `key = "value"`, and never rewrites the file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from ds01.projects.steps import Step
from ds01.projects.texts import append
from ds01.system.home import Home

FILE = "pyproject.toml"
HEADING = "# What ds01 knows of this project: `project-init` wrote it, and other commands read it."
_TABLE = re.compile(r"^\s*\[\s*tool\s*\.\s*[\"']?ds01[\"']?\s*\]\s*(#.*)?$", re.MULTILINE)
# Other ways to say the same table; a second one would make the file wrong.
_OTHERWISE = re.compile(r"^\s*(\[+\s*tool\s*\.\s*ds01\s*[.\]]|tool\s*\.\s*ds01\s*[.=]|ds01\s*[.=])", re.MULTILINE)
_NEXT = re.compile(r"^\s*\[", re.MULTILINE)
_LINE = re.compile(r"""^\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$""", re.MULTILINE)
_ESCAPED = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def write(
    home: Home, folder: Path, project: str, *, kind: str | None, image: str | None, framework: str | None
) -> Step:
    """Write the table: into a new file, or at the end of one that has none. Values that are None are left out."""
    path = folder / FILE
    there = home.read_text(path)
    if there is not None and (_TABLE.search(there) or _OTHERWISE.search(there)):
        return Step(kept=(f"[tool.ds01] in {FILE}",))
    values = {"project": project, "kind": kind, "image": image, "framework": framework}
    lines = [f"{key} = {_quoted(value)}" for key, value in values.items() if value is not None]
    append(home, path, "\n".join([HEADING, "[tool.ds01]", *lines, ""]))
    return Step(made=(FILE if there is None else f"[tool.ds01] in {FILE}",))


def read(home: Home, folder: Path) -> Mapping[str, str]:
    """The table's texts; nothing if there is none."""
    there = home.read_text(folder / FILE)
    begin = None if there is None else _TABLE.search(there)
    if there is None or begin is None:
        return {}
    rest = there[begin.end() :]
    end = _NEXT.search(rest)
    rows = _LINE.finditer(rest[: end.start()] if end else rest)
    return {row[1]: _unquoted(row[2]) if row[2] is not None else row[3] for row in rows}


def _quoted(value: str) -> str:
    """A basic string of TOML."""
    return f'"{"".join(_escaped(letter) for letter in value)}"'


def _escaped(letter: str) -> str:
    if letter in '\\"':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08X}"


def _unquoted(written: str) -> str:
    def letter(found: re.Match[str]) -> str:
        number = found[1] or found[2]
        return chr(int(number, 16)) if number and int(number, 16) < sys.maxunicode else _SHORT.get(found[3], found[3])

    return _ESCAPED.sub(letter, written)
