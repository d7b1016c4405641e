"""Git for a project: a repository, what it leaves out, large files, and whose the commits are. Nothing is committed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ds01.errors import Ds01Error, WrongUse
from ds01.projects.steps import Step, together
from ds01.projects.texts import append, text
from ds01.system import programs
from ds01.system.home import Home

REPOSITORY = "git repository"  # as a step calls it
BRANCH = "main"
MARK = "# ds01:"  # the first line of each block that ds01 writes begins so
IGNORE = ".gitignore"
ATTRIBUTES = ".gitattributes"
LONGEST = 200  # letters of a name or an address
# What a git hook, or somebody's shell, says about another repository than the one that is meant.
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")
_UNSET = tuple(word for name in _ELSEWHERE for word in ("-u", name))


def init(
    home: Home,
    folder: Path,
    *,
    name: str | None = None,
    email: str | None = None,
    lfs: bool | None = None,
    extend: bool = False,
) -> Step:
    """Make a repository of a folder that is there. Everything can be done again, and nothing is done twice.

    `name`, `email`: whose the commits are; for this repository, unless it has its own. `lfs`: None if git-lfs is there.
    `extend`: a .gitignore or .gitattributes that is there gets ds01's lines at its end.

    Raises WrongUse for a name or an address that is none, Ds01Error.
    """
    if name is not None:
        check_name(name)
    if email is not None:
        check_email(email)
    steps = [_repository(home, folder)]
    with_lfs, notes = _large_files(home, folder, lfs)
    steps += [_lines(home, folder / IGNORE, "gitignore", extend), Step(notes=notes)]
    if with_lfs:
        steps.append(_lines(home, folder / ATTRIBUTES, "gitattributes", extend))
    steps.append(_author(home, folder, {"user.name": name, "user.email": email}))
    return together(steps)


def identity(home: Home, folder: Path | None = None) -> tuple[str | None, str | None]:
    """Name and address that git knows: in the repository at `folder`, else for all of this person's."""
    known = [_known(home, folder, key) for key in ("user.name", "user.email")]
    return known[0], known[1]


def check_name(said: str) -> None:
    """Raises WrongUse if it cannot stand in a commit."""
    if not said.strip() or not said.isprintable() or len(said) > LONGEST:
        shown = said if len(said) < 80 else f"{said[:80]}…"
        raise WrongUse(f"'{shown}' is not a name for commits", why=f"it is one line, at most {LONGEST} letters")


def check_email(said: str) -> None:
    """Raises WrongUse if it is no address; git itself takes anything."""
    if re.fullmatch(r"[^\s<>@]+@[^\s<>@]+", said) is None or not said.isprintable() or len(said) > LONGEST:
        shown = said if len(said) < 80 else f"{said[:80]}…"
        raise WrongUse(f"'{shown}' is no e-mail address", why="it has the form ada@example.org")


def _repository(home: Home, folder: Path) -> Step:
    # The way from the repository's top to here: empty there, and no answer where there is no repository.
    way = _run(home, folder, "rev-parse", "--show-prefix", needed=home.exists(folder / ".git"))
    if way == "":
        return Step(kept=(REPOSITORY,))
    _run(home, folder, "init", "--quiet")
    # Git before 2.28 cannot be told the branch's name at init.
    if _run(home, folder, "config", "--get", "init.defaultBranch", needed=False) is None:
        _run(home, folder, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    within = (f"{folder} lies within another repository; it has one of its own now.",) if way else ()
    return Step(made=(REPOSITORY,), notes=within)


def _large_files(home: Home, folder: Path, lfs: bool | None) -> tuple[bool, tuple[str, ...]]:
    """Whether large files go through git-lfs, whose hooks are then in the repository; and what there is to say."""
    if lfs is False:
        return False, ()
    if programs.find("git-lfs") is None:
        if lfs:
            raise Ds01Error("git-lfs is not installed", hint="an administrator installs it: apt install git-lfs")
        return False, ("git-lfs is not here: keep large files in data and models, which git leaves out.",)
    try:
        _run(home, folder, "lfs", "install", "--local")
    except Ds01Error as error:
        if lfs:
            raise
        return False, (f"git-lfs does not work here, and is left out: {error.why}",)
    return True, ()


def _lines(home: Home, path: Path, template: str, extend: bool) -> Step:
    """ds01's lines in a file: a new one, or with `extend` at the end of one that is there."""
    called = path.name
    if home.read(path) is None and not home.exists(path):
        home.write(path, text(template))
        return Step(made=(called,))
    there = home.read_text(path) or ""
    if any(line.startswith(MARK) for line in there.splitlines()):
        return Step(kept=(called,))
    if extend:
        append(home, path, text(template))
        return Step(made=(f"lines in {called}",))
    note = f"{called} is your own and stays as it is; `git-init --append` adds ds01's lines at its end."
    return Step(kept=(called,), notes=(note,), differing=(called,))


def _author(home: Home, folder: Path, given: Mapping[str, str | None]) -> Step:
    made, notes = [], []
    for key, value in given.items():
        known = _known(home, folder, key)
        own = _run(home, folder, "config", "--local", "--get", key, needed=False)
        if value is None and known is None:
            notes.append(f"Git needs to know before your first commit: git config --global {key} …")
        elif value is not None and own is None and value != known:
            _run(home, folder, "config", "--local", "--", key, value)
            made.append(f"{key} {value}")
        elif value is not None and own is not None and value != own:
            notes.append(f"{key} is {own} in this repository, and stays so; `git config {key} …` changes it.")
    return Step(tuple(made), notes=tuple(notes))


def _known(home: Home, folder: Path | None, key: str) -> str | None:
    if folder is not None:
        return _run(home, folder, "config", "--get", key, needed=False) or None
    for place in ("--global", "--system"):
        if found := _run(home, home.path, "config", place, "--includes", "--get", key, needed=False):
            return found
    return None


def _first_line(why: str | None) -> str:
    return (why or "it said nothing").splitlines()[0]


def _run(home: Home, folder: Path, *arguments: str, needed: bool = True) -> str | None:
    """What git writes, without the line's end; None if it fails and that is an answer. Raises Ds01Error."""
    if programs.find("git") is None:
        raise Ds01Error("git is not installed", hint="an administrator installs it: apt install git")
    try:
        said = home.run(["env", *_UNSET, "git", "-C", str(folder), *arguments])
    except Ds01Error as error:
        problem = (error.data or {}).get("problem")
        if not needed and problem == "failed":
            return None
        raise Ds01Error(
            f"git {arguments[0]} does not work in {folder}", why=_first_line(error.why), data=error.data
        ) from error
    return said.removesuffix("\n")
