"""user-setup, new-user"""

from __future__ import annotations

import click

from ds01.cli import ask
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.project.meant import show_whole
from ds01.cli.project.starting import Wanted, start_project
from ds01.cli.session import Session
from ds01.cli.user.ssh_setup import set_up
from ds01.errors import WrongUse
from ds01.projects import vscode
from ds01.projects.server import check_host
from ds01.system.host_name import host_name


@verb(example="user-setup my-first-project --quick", asks=True, json=False)
@click.argument("project", required=False)
@click.option("--type", "kind", metavar="CASE", help="ml, cv, nlp, rl, audio, timeseries, llm: what it is for.")
@click.option("--framework", metavar="NAME[-VERSION]", help="What the project's image is made from.")
@click.option("--image", metavar="IMAGE", help="Use this image, and build none.")
@click.option("--host", metavar="NAME", help="How this server is reached. Default: its own name.")
@click.option("--quick", is_flag=True, help="Explain and ask nothing.")
def command(
    session: Session,
    project: str | None,
    kind: str | None,
    framework: str | None,
    image: str | None,
    host: str | None,
    quick: bool,
) -> int | None:
    """Your first steps here: an SSH key, a first project with its container, and VS Code on your computer.

    What is done already is skipped.
    """
    session.yes = session.yes or quick
    session.guided = session.guided or not session.yes  # whoever is new wants to know; --quick does not
    home, server = session.home, host_name() if host is None else check_host(host)
    wanted = Wanted(name=project, kind=kind, framework=framework, image=image)
    wanted.check(session)
    begun = tuple(name for name in home.list(home.path / "workspace") if not name.startswith("."))
    if project is None and not session.interactive and not begun:
        raise WrongUse("what shall the first project be called?", hint="user-setup NAME --quick")
    explain(session, "welcome")
    session.say("\nPart 1/3  SSH")
    set_up(session, server, ask_passphrase=session.interactive)
    session.say("\nPart 2/3  A project")
    code = None
    if project is None and begun:
        session.say(f"  You have {', '.join(begun[:5])} already.")
    if project is not None or not begun or (session.interactive and ask.confirm("Begin another?", default=False)):
        code = start_project(session, wanted, afterwards="vscode-setup")
    session.say("\nPart 3/3  VS Code")
    explain(session, "vscode")
    show_whole(session, vscode.guide(session.owner.login, server))
    explain(session, "manners")
    session.say("\nThat is all. `alias-list` shows every command; `container-list` what you have.")
    return code
