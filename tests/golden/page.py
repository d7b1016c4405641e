"""The golden file, tests/golden/messages.txt, as sections by title."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).with_name("messages.txt")
WRITE = "DS01_WRITE_MESSAGES"  # set: the test writes the sections instead of comparing them
COMMAND = f"{WRITE}=1 .venv/bin/python -m pytest -q tests/unit/cli/test_messages.py"
HEAD = f"""\
# What people read: errors, refusals and outcomes of all commands

Each section is what happened before, the command as typed, its output, and its exit code with the error's code.
Read what changed before you commit it. ROOT is a temporary directory, ID a random identifier. Written by

    {COMMAND}
"""


def read() -> dict[str, str]:
    """Return the sections by title."""
    if not PAGE.exists():
        return {}
    parts = re.split(r"^(?=## )", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("## "): part.rstrip("\n") + "\n" for part in parts}


def write(sections: dict[str, str], order: Iterable[str]) -> None:
    """Write the sections in the given order; others are dropped."""
    PAGE.write_text("\n".join([HEAD, *(sections[title] for title in order if title in sections)]), "utf-8")


def difference(before: str, after: str) -> str:
    """Return what changed in a section, for a person, with the command that accepts it."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "messages.txt", "now", lineterm="", n=99)
    return "\n".join(["The words have changed:", "", *lines, "", f"If they are meant: {COMMAND}"])
