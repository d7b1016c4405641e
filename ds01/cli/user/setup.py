"""user-setup, new-user"""

from __future__ import annotations

import dataclasses

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.definition import command_name
from ds01.cli.command.guide import explain
from ds01.cli.command.refusals import adapt_error
from ds01.cli.project.options import ProjectOptions, container_options, unfinished_projects
from ds01.cli.project.setup import set_up_project
from ds01.cli.project.target import show_unwrapped
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.cli.ui.formats import format_error
from ds01.cli.ui.output import print_text
from ds01.cli.user.ssh_setup import set_up_ssh
from ds01.errors import Ds01Error, UsageError
from ds01.projects import vscode
from ds01.projects.ssh_host import check_host


@verb(example="user-setup my-first-project --quick", asks=True, json=False)
@click.argument("project", required=False)
@click.option("--type", "kind", metavar="CASE", help="What it is for: ml, cv, nlp, rl, audio, timeseries, llm.")
@click.option("--framework", metavar="NAME[-VERSION]", help="The base of the project's image.")
@click.option("--image", metavar="IMAGE", help="Use this image, and build none.")
@click.option("--no-container", is_flag=True, help="A project without a container.")
@container_options
@click.option("--host", metavar="NAME", help="The name by which this server is reached. Default: its own.")
@click.option("--quick", is_flag=True, help="Explain and ask nothing.")
def command(
    session: Session,
    project: str | None,
    kind: str | None,
    framework: str | None,
    image: str | None,
    no_container: bool,
    gpus: int | None,
    cpu_only: bool,
    wait: bool,
    wait_for: str | None,
    host: str | None,
    quick: bool,
) -> int | None:
    """Take your first steps: an SSH key, a first project with its container, and VS Code on your computer.

    Finished steps are skipped: after an interruption the same command continues.
    """
    session.yes = session.yes or quick
    session.guided = session.guided or not session.yes  # new users get explanations unless they say --quick or --yes
    server = session.server_name if host is None else check_host(host)
    project_options = ProjectOptions(
        name=project,
        kind=kind,
        framework=framework,
        image=image,
        with_container=not no_container,
        gpus=gpus,
        cpu_only=cpu_only,
        wait=wait,
        wait_for=wait_for,
    )
    project_options.check(session)
    home = session.home
    existing = tuple(name for name in home.list(home.workspaces) if not name.startswith("."))
    if project is None and not session.interactive and not existing:
        raise UsageError("the first project needs a name", hint=f"`{command_name()} NAME --quick`")
    explain(session, "welcome")
    session.say("\nPart 1/3  SSH")
    has_key = _set_up_ssh(session, server)
    session.say("\nPart 2/3  A project")
    code = None
    project_options = dataclasses.replace(project_options, name=project_options.name or _choose_unfinished(session))
    if project_options.name is None and existing:
        session.say(f"  You already have {', '.join(existing[:5])}.")
    if (
        project_options.name is not None
        or not existing
        or (session.interactive and prompts.confirm("Begin another?", default=False))
    ):
        code = set_up_project(session, project_options, next_command="vscode-setup")
    session.say("\nPart 3/3  VS Code")
    explain(session, "vscode")
    show_unwrapped(session, vscode.setup_guide(session.owner.login, server))
    explain(session, "manners")
    if not has_key:
        session.warn("the SSH key is still missing: `ssh-setup` creates it")
    session.say("\nThat is all. `alias-list` shows every command, `container-list` your containers.")
    return code or (code if has_key else 1)


def _set_up_ssh(session: Session, server: str) -> bool:
    """Create the key, and print how to reach the server; return whether that worked."""
    try:
        set_up_ssh(session, server, ask_passphrase=session.interactive)
    except Ds01Error as error:
        print_text(format_error(adapt_error(error, session.now())), error=True)
        session.say("The other parts do not need this one. `ssh-setup` repeats it.")
        return False
    return True


def _choose_unfinished(session: Session) -> str | None:
    """Return the interrupted project to continue; None if there is none, or the user declines."""
    names = unfinished_projects(session)
    if not names:
        return None
    if not session.interactive:
        session.say(f"  The setup of {names[0]} was interrupted, and continues now.")
        return names[0]
    if len(names) == 1:
        return (
            names[0]
            if prompts.confirm(f"The setup of {names[0]} was interrupted. Continue it?", default=True)
            else None
        )
    chosen = prompts.choose("These were interrupted. Which one continues?", [*names, "none of them"])
    return names[chosen] if chosen < len(names) else None
