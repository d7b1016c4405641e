"""A project's README: what it is, where things are, how to work on it. It replaces nothing unasked."""

from __future__ import annotations

from pathlib import Path

from ds01.errors import WrongUse
from ds01.projects.folders import tree
from ds01.projects.steps import Step
from ds01.projects.texts import put_file, text
from ds01.system.home import Home

FILE = "README.md"
_READMES = {"readme", "readme.md", "readme.rst", "readme.txt", "readme.org", "readme.markdown"}


def create(
    home: Home,
    folder: Path,
    project: str,
    *,
    description: str | None = None,
    overwrite: bool = False,
    framework: str | None = None,
    kind: str | None = None,
) -> Step:
    """Write README.md unless the folder has a README, of whatever spelling. `overwrite` replaces a README.md.

    Raises WrongUse, Ds01Error.
    """
    check_description(description or "")
    there = names(home, folder)
    same = [name for name in there if name.casefold() == FILE.casefold()]
    if there and not same and not overwrite:
        return Step(kept=there)
    file = same[0] if same else FILE
    content = _content(home, folder, project, description, framework, kind)
    return put_file(home, folder / file, content, called=file, overwrite=overwrite)


def names(home: Home, folder: Path) -> tuple[str, ...]:
    """The README files that a folder has."""
    return tuple(name for name in home.list(folder) if name.casefold() in _READMES)


def check_description(text: str) -> None:
    """Raises WrongUse for what a README cannot say."""
    wrong = next((letter for letter in text if not letter.isprintable() and letter not in "\n\t"), None)
    if wrong is not None:
        raise WrongUse(
            "the description has control characters in it",
            why=f"the first is {wrong!a}, letter {text.index(wrong) + 1}",
            hint="a line in plain text",
        )


def _content(
    home: Home, folder: Path, project: str, description: str | None, framework: str | None, kind: str | None
) -> str:
    about = [
        f"- {title}: {value}"
        for title, value in (("Kind", kind), ("Framework", framework))
        if value not in (None, "none")
    ]
    there = set(home.list(folder))
    rows = [f"- `{name}`: {what}" for name, what in tree().items() if name.partition("/")[0] in there]
    return text(
        FILE,
        project=project,
        description=description or "What this project is about, in a sentence or two.",
        about="\n".join(["", *about, ""]) if about else "",
        folders="\n".join(rows) or "- everything in this folder",
    )
