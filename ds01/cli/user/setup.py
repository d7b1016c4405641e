"""user-setup, new-user"""

from __future__ import annotations

import dataclasses

import click

from ds01.cli import ask
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.options import typed
from ds01.cli.output import put
from ds01.cli.project.meant import show_whole
from ds01.cli.project.starting import start_project
from ds01.cli.project.wanted import Wanted, container_options, unfinished
from ds01.cli.session import Session
from ds01.cli.user.ssh_setup import set_up
from ds01.cli.words import describe_error, worded
from ds01.errors import Ds01Error, WrongUse
from ds01.projects import vscode
from ds01.projects.ssh_host import check_host


@verb(example="user-setup my-first-project --quick", asks=True, json=False)
@click.argument("project", required=False)
@click.option("--type", "kind", metavar="CASE", help="ml, cv, nlp, rl, audio, timeseries, llm: what it is for.")
@click.option("--framework", metavar="NAME[-VERSION]", help="What the project's image is made from.")
@click.option("--image", metavar="IMAGE", help="Use this image, and build none.")
@click.option("--no-container", is_flag=True, help="A project without a container.")
@container_options
@click.option("--host", metavar="NAME", help="How this server is reached. Default: its own name.")
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
    """Your first steps here: an SSH key, a first project with its container, and VS Code on your computer.

    What is done already is skipped: after an interruption the same command continues.
    """
    session.yes = session.yes or quick
    session.guided = session.guided or not session.yes  # whoever is new wants to know; --quick does not
    server = session.server_name if host is None else check_host(host)
    wanted = Wanted(
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
    wanted.check(session)
    home = session.home
    begun = tuple(name for name in home.list(home.workspaces) if not name.startswith("."))
    if project is None and not session.interactive and not begun:
        raise WrongUse("the first project needs a name", hint=f"`{typed()} NAME --quick`")
    explain(session, "welcome")
    session.say("\nPart 1/3  SSH")
    has_key = _set_up_ssh(session, server)
    session.say("\nPart 2/3  A project")
    code = None
    wanted = dataclasses.replace(wanted, name=wanted.name or _to_continue(session))
    if wanted.name is None and begun:
        session.say(f"  You have {', '.join(begun[:5])} already.")
    if wanted.name is not None or not begun or (session.interactive and ask.confirm("Begin another?", default=False)):
        code = start_project(session, wanted, afterwards="vscode-setup")
    session.say("\nPart 3/3  VS Code")
    explain(session, "vscode")
    show_whole(session, vscode.setup_guide(session.owner.login, server))
    explain(session, "manners")
    if not has_key:
        session.warn("the SSH key is still missing: `ssh-setup` makes it")
    session.say("\nThat is all. `alias-list` shows every command; `container-list` what you have.")
    return code or (code if has_key else 1)


def _set_up_ssh(session: Session, server: str) -> bool:
    """Make the key, and say how the server is reached; return whether that worked. The other parts do not need it."""
    try:
        set_up(session, server, ask_passphrase=session.interactive)
    except Ds01Error as error:
        put(describe_error(worded(error, session.now())), error=True)
        session.say("The other parts do not need it. `ssh-setup` repeats this one.")
        return False
    return True


def _to_continue(session: Session) -> str | None:
    """Return the project whose setup was interrupted, if there is one and it is to be continued."""
    names = unfinished(session)
    if not names:
        return None
    if not session.interactive:
        session.say(f"  The setup of {names[0]} was interrupted, and continues now.")
        return names[0]
    if len(names) == 1:
        return names[0] if ask.confirm(f"The setup of {names[0]} was interrupted. Continue it?", default=True) else None
    chosen = ask.choose("These were interrupted. Which one continues?", [*names, "none of them"])
    return names[chosen] if chosen < len(names) else None
