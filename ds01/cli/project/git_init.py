"""git-init"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from shlex import quote

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.project import target
from ds01.cli.project.target import Project
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.cli.ui.output import print_text
from ds01.errors import UsageError
from ds01.projects import git
from ds01.projects.step_result import combine_steps


@verb(example='git-init my-thesis --name "Ada Lovelace" --email ada@example.org', asks=True)
@target.project_argument("git-init")
@click.option("--name", metavar="NAME", help="The author of commits, if git does not know it.")
@click.option("--email", metavar="ADDRESS", help="The address of the author.")
@click.option("--no-lfs", is_flag=True, help="Do not use git LFS, even if it is installed.")
@click.option("--append", is_flag=True, help="Add to an existing .gitignore.")
def command(
    session: Session, project: Project, *, name: str | None, email: str | None, no_lfs: bool, append: bool
) -> None:
    """Turn a project into a git repository, with an ignore list for machine learning that keeps notebooks.

    Nothing is committed. Large files go through git LFS if it is installed.
    """
    target.require_directory(project)
    explain(session, "git")
    if session.interactive:
        name, email = ask_author(session, project, name, email)
    lfs = False if no_lfs else None
    init = partial(git.init_repository, project.home, project.folder, name=name, email=email, lfs=lfs)
    step = init(extend=append)
    target.show_step(session, step)
    files = " and ".join(step.differing)
    if files and session.interactive and prompts.confirm(f"Add ds01's lines at the end of {files}?", default=False):
        more = init(extend=True)
        session.say(f"Created: {', '.join(more.made)}.")
        step = combine_steps([replace(step, differing=()), more])
    if git.REPOSITORY in step.made:
        session.say(f'Next: cd {quote(str(project.folder))} && git add -A && git commit -m "Begin {project.name}"')
    session.write_document({"project": project.name, "path": str(project.folder), "step": step})


def ask_author(
    session: Session, project: Project, name: str | None, email: str | None
) -> tuple[str | None, str | None]:
    """Return name and address; ask for those not given and not known to git. Enter leaves them open."""
    knows = git.commit_identity(project.home, project.folder)
    if name is None and knows[0] is None:
        name = _ask("Your name, for commits (Enter: later)", git.check_commit_name)
    if email is None and knows[1] is None:
        email = _ask("Your e-mail address, for commits (Enter: later)", git.check_commit_email)
    return name, email


def _ask(question: str, check: Callable[[str], None]) -> str | None:
    while True:
        answer = prompts.ask_line(question).strip()
        if not answer:
            return None
        try:
            check(answer)
        except UsageError as error:
            print_text("; ".join(filter(None, (error.message, error.why))))
        else:
            return answer
