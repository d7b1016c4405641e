"""Write a project's README: what it is, where things are, how to work on it. Replaces nothing without being asked."""

from __future__ import annotations

from pathlib import Path

from ds01.errors import UsageError
from ds01.projects.project_directory import tree_directories
from ds01.projects.step_result import StepResult
from ds01.projects.templates import put_file, render_template
from ds01.system.home import Home

FILE = "README.md"
_READMES = {"readme", "readme.md", "readme.rst", "readme.txt", "readme.org", "readme.markdown"}


def write_readme(
    home: Home,
    folder: Path,
    project: str,
    *,
    description: str | None = None,
    overwrite: bool = False,
    framework: str | None = None,
    kind: str | None = None,
) -> StepResult:
    """Write README.md unless the directory has a README in any spelling. `overwrite` replaces a README.md.

    Raises UsageError, Ds01Error.
    """
    check_description(description or "")
    existing = readme_names(home, folder)
    matching = [name for name in existing if name.casefold() == FILE.casefold()]
    if existing and not matching and not overwrite:
        return StepResult(kept=existing)
    file = matching[0] if matching else FILE
    content = _content(home, folder, project, description, framework, kind)
    return put_file(home, folder / file, content, label=file, overwrite=overwrite)


def readme_names(home: Home, folder: Path) -> tuple[str, ...]:
    """Return the names of a directory's README files."""
    return tuple(name for name in home.list(folder) if name.casefold() in _READMES)


def check_description(text: str) -> None:
    """Raise UsageError for a description that cannot be in a README."""
    bad_character = next((letter for letter in text if not letter.isprintable() and letter not in "\n\t"), None)
    if bad_character is not None:
        raise UsageError(
            "the description contains control characters",
            why=f"the first is {bad_character!a}, letter {text.index(bad_character) + 1}",
            hint="write one line of plain text",
        )


def _content(
    home: Home, folder: Path, project: str, description: str | None, framework: str | None, kind: str | None
) -> str:
    details = [
        f"- {title}: {value}"
        for title, value in (("Kind", kind), ("Framework", framework))
        if value not in (None, "none")
    ]
    existing = set(home.list(folder))
    rows = [f"- `{name}`: {what}" for name, what in tree_directories().items() if name.partition("/")[0] in existing]
    return render_template(
        FILE,
        project=project,
        description=description or "What this project is about, in a sentence or two.",
        details="\n".join(["", *details, ""]) if details else "",
        folders="\n".join(rows) or "- everything in this directory",
    )
