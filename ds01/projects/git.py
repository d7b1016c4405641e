"""Set up a project's git repository: ignored files, large files, author. Nothing is committed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ds01.errors import Ds01Error, UsageError
from ds01.projects.step_result import StepResult, combine_steps
from ds01.projects.templates import append_block, render_template
from ds01.system import programs
from ds01.system.home import Home

REPOSITORY = "git repository"  # its name in a StepResult
BRANCH = "main"
BLOCK_MARK = "# ds01:"  # begins the first line of each block that ds01 writes
IGNORE = ".gitignore"
ATTRIBUTES = ".gitattributes"
MAX_FIELD_LENGTH = 200  # letters of a name or an e-mail address
# Variables from a git hook or a shell that point to another repository.
_REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
)
_UNSET_OPTIONS = tuple(word for name in _REPOSITORY_VARIABLES for word in ("-u", name))


def init_repository(
    home: Home,
    folder: Path,
    *,
    name: str | None = None,
    email: str | None = None,
    lfs: bool | None = None,
    extend: bool = False,
) -> StepResult:
    """Turn an existing directory into a repository. Idempotent.

    `name`, `email`: the author in this repository, unless it has one. `lfs` None: use git-lfs if it is installed.
    `extend`: append ds01's lines to an existing .gitignore or .gitattributes.

    Raises UsageError for an invalid name or e-mail address, Ds01Error.
    """
    if name is not None:
        check_commit_name(name)
    if email is not None:
        check_commit_email(email)
    steps = [_ensure_repository(home, folder)]
    with_lfs, notes = _set_up_lfs(home, folder, lfs)
    steps += [_add_lines(home, folder / IGNORE, "gitignore", extend), StepResult(notes=notes)]
    if with_lfs:
        steps.append(_add_lines(home, folder / ATTRIBUTES, "gitattributes", extend))
    steps.append(_set_author(home, folder, {"user.name": name, "user.email": email}))
    return combine_steps(steps)


def commit_identity(home: Home, folder: Path | None = None) -> tuple[str | None, str | None]:
    """Return the author's name and e-mail address from git: for the repository at `folder`, else the global ones."""
    configured = [_configured_value(home, folder, key) for key in ("user.name", "user.email")]
    return configured[0], configured[1]


def check_commit_name(value: str) -> None:
    """Raise UsageError for a name that cannot be in a commit."""
    if not value.strip() or not value.isprintable() or len(value) > MAX_FIELD_LENGTH:
        shown = value if len(value) < 80 else f"{value[:80]}…"
        raise UsageError(
            f"'{shown}' is not a name for commits", why=f"a name is one line of at most {MAX_FIELD_LENGTH} letters"
        )


def check_commit_email(value: str) -> None:
    """Raise UsageError for an invalid e-mail address; git itself accepts anything."""
    if re.fullmatch(r"[^\s<>@]+@[^\s<>@]+", value) is None or not value.isprintable() or len(value) > MAX_FIELD_LENGTH:
        shown = value if len(value) < 80 else f"{value[:80]}…"
        raise UsageError(f"'{shown}' is not an e-mail address", why="the form is ada@example.org")


def _ensure_repository(home: Home, folder: Path) -> StepResult:
    # The path from the repository's top to here: empty at the top, None without a repository.
    prefix = _run_git(home, folder, "rev-parse", "--show-prefix", required=home.exists(folder / ".git"))
    if prefix == "":
        return StepResult(kept=(REPOSITORY,))
    _run_git(home, folder, "init", "--quiet")
    # Git before 2.28 has no option for the branch's name at init.
    if _run_git(home, folder, "config", "--get", "init.defaultBranch", required=False) is None:
        _run_git(home, folder, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    notes = (f"{folder} is inside another repository; now it has its own.",) if prefix else ()
    return StepResult(made=(REPOSITORY,), notes=notes)


def _set_up_lfs(home: Home, folder: Path, lfs: bool | None) -> tuple[bool, tuple[str, ...]]:
    """Install git-lfs's hooks if it is wanted and works; return whether it is used, and notes."""
    if lfs is False:
        return False, ()
    if programs.find("git-lfs") is None:
        if lfs:
            raise Ds01Error("git-lfs is not installed", hint="an administrator can install it: apt install git-lfs")
        return False, ("git-lfs is not installed: keep large files in data and models, which git ignores.",)
    try:
        _run_git(home, folder, "lfs", "install", "--local")
    except Ds01Error as error:
        if lfs:
            raise
        return False, (f"git-lfs does not work here and is not used: {error.why}",)
    return True, ()


def _add_lines(home: Home, path: Path, template: str, extend: bool) -> StepResult:
    """Write ds01's lines: into a new file, or with `extend` at the end of an existing one."""
    called = path.name
    if home.read(path) is None and not home.exists(path):
        home.write(path, render_template(template))
        return StepResult(made=(called,))
    existing = home.read_text(path) or ""
    if any(line.startswith(BLOCK_MARK) for line in existing.splitlines()):
        return StepResult(kept=(called,))
    if extend:
        append_block(home, path, render_template(template))
        return StepResult(made=(f"lines in {called}",))
    note = f"{called} is your own and was not changed; `git-init --append` adds ds01's lines at its end."
    return StepResult(kept=(called,), notes=(note,), differing=(called,))


def _set_author(home: Home, folder: Path, values: Mapping[str, str | None]) -> StepResult:
    made, notes = [], []
    for key, value in values.items():
        configured = _configured_value(home, folder, key)
        local_value = _run_git(home, folder, "config", "--local", "--get", key, required=False)
        if value is None and configured is None:
            notes.append(f"Set {key} before your first commit: git config --global {key} …")
        elif value is not None and local_value is None and value != configured:
            _run_git(home, folder, "config", "--local", "--", key, value)
            made.append(f"{key} {value}")
        elif value is not None and local_value is not None and value != local_value:
            notes.append(f"{key} is already {local_value} in this repository; `git config {key} …` changes it.")
    return StepResult(tuple(made), notes=tuple(notes))


def _configured_value(home: Home, folder: Path | None, key: str) -> str | None:
    if folder is not None:
        return _run_git(home, folder, "config", "--get", key, required=False) or None
    for scope in ("--global", "--system"):
        if found := _run_git(home, home.path, "config", scope, "--includes", "--get", key, required=False):
            return found
    return None


def _first_line(why: str | None) -> str:
    return (why or "it printed no reason").splitlines()[0]


def _run_git(home: Home, folder: Path, *arguments: str, required: bool = True) -> str | None:
    """Return git's output without the final newline; None if it fails and `required` is false. Raises Ds01Error."""
    if programs.find("git") is None:
        raise Ds01Error("git is not installed", hint="an administrator can install it: apt install git")
    try:
        value = home.run(["env", *_UNSET_OPTIONS, "git", "-C", str(folder), *arguments])
    except Ds01Error as error:
        problem = (error.data or {}).get("problem")
        if not required and problem == "failed":
            return None
        raise Ds01Error(
            f"git {arguments[0]} failed in {folder}", why=_first_line(error.why), data=error.data
        ) from error
    return value.removesuffix("\n")
