"""Read and write `[tool.ds01]` in a project's pyproject.toml, which describes the project.

Python 3.10 has no parser for TOML. ds01 reads and changes what it writes, lines of the form `key = "value"`; everything
else in the file stays as it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from ds01.projects.step_result import StepResult
from ds01.projects.templates import append_block
from ds01.system.home import Home

FILE = "pyproject.toml"
HEADING = "# Written by `project-init`, read by other commands of ds01."
_TABLE = re.compile(r"^\s*\[\s*tool\s*\.\s*[\"']?ds01[\"']?\s*\]\s*(#.*)?$", re.MULTILINE)
# Other spellings of the same table; a second table would make the file invalid.
_OTHER_TABLE_FORMS = re.compile(
    r"^\s*(\[+\s*tool\s*\.\s*ds01\s*[.\]]|tool\s*\.\s*ds01\s*[.=]|ds01\s*[.=])", re.MULTILINE
)
_NEXT_TABLE = re.compile(r"^\s*\[", re.MULTILINE)
_LINE = re.compile(r"""^\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$""", re.MULTILINE)
SETUP_KEY = "setup"  # the key of a project whose setup has not finished
SETUP_UNFINISHED = "unfinished"
_ESCAPED = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def write(
    home: Home,
    folder: Path,
    project: str,
    *,
    kind: str | None,
    image: str | None,
    framework: str | None,
    setup: str | None = None,
) -> StepResult:
    """Write the table into a new file, or at the end of a file without it. None values are left out."""
    path = folder / FILE
    existing = home.read_text(path)
    if existing is not None and (_TABLE.search(existing) or _OTHER_TABLE_FORMS.search(existing)):
        return StepResult(kept=(f"[tool.ds01] in {FILE}",))
    values = {"project": project, "kind": kind, "image": image, "framework": framework, SETUP_KEY: setup}
    lines = [f"{key} = {_quoted(value)}" for key, value in values.items() if value is not None]
    append_block(home, path, "\n".join([HEADING, "[tool.ds01]", *lines, ""]))
    return StepResult(made=(FILE if existing is None else f"[tool.ds01] in {FILE}",))


def update(home: Home, folder: Path, changes: Mapping[str, str | None]) -> bool:
    """Set keys of the table, or remove those that are None; return whether the file changed.

    A file without the table, and values in a form that ds01 does not write, are unchanged.
    """
    path = folder / FILE
    content = home.read(path)
    if content is None:
        return False
    before = text = content.decode("utf-8", "surrogateescape")
    for key, value in changes.items():
        text = _with_value(text, key, value)
    if text == before:
        return False
    home.write(path, text.encode("utf-8", "surrogateescape"))
    return True


def read(home: Home, folder: Path) -> Mapping[str, str]:
    """Return the table's texts; empty without the table."""
    existing = home.read_text(folder / FILE)
    table_start = None if existing is None else _TABLE.search(existing)
    if existing is None or table_start is None:
        return {}
    rest = existing[table_start.end() :]
    end = _NEXT_TABLE.search(rest)
    rows = _LINE.finditer(rest[: end.start()] if end else rest)
    return {row[1]: _value(row) for row in rows}


def _with_value(text: str, key: str, value: str | None) -> str:
    """Return the file's text with one key of the table set or removed."""
    table_start = _TABLE.search(text)
    if table_start is None:
        return text
    end = _NEXT_TABLE.search(text, table_start.end())
    table_end = end.start() if end else len(text)
    existing = re.compile(rf"^[ \t]*{re.escape(key)}[ \t]*=[^\n]*(\n|\Z)", re.MULTILINE).search(
        text, table_start.end(), table_end
    )
    line_end = "\r\n" if text[table_start.end() :].startswith("\r\n") or table_start[0].endswith("\r") else "\n"
    line = "" if value is None else f"{key} = {_quoted(value)}{line_end}"
    if existing is not None:
        existing_row = _LINE.fullmatch(existing[0].rstrip("\r\n"))
        is_same = existing_row is not None and value is not None and _value(existing_row) == value
        return text if existing_row is None or is_same else text[: existing.start()] + line + text[existing.end() :]
    if value is None:
        return text
    heading_end = text.find("\n", table_start.end())
    if heading_end < 0:
        return f"{text}{line_end}{line}"
    return text[: heading_end + 1] + line + text[heading_end + 1 :]


def _value(row: re.Match[str]) -> str:
    return _unquoted(row[2]) if row[2] is not None else row[3]


def _quoted(value: str) -> str:
    """Return a basic string of TOML."""
    return f'"{"".join(_escaped(letter) for letter in value)}"'


def _escaped(letter: str) -> str:
    if letter in '\\"':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08X}"


def _unquoted(quoted_text: str) -> str:
    def letter(found: re.Match[str]) -> str:
        number = found[1] or found[2]
        return chr(int(number, 16)) if number and int(number, 16) < sys.maxunicode else _SHORT.get(found[3], found[3])

    return _ESCAPED.sub(letter, quoted_text)
