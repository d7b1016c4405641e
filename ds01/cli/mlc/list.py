"""mlc-list"""

from __future__ import annotations

import click

from ds01.api.answers import AimeView
from ds01.api.measures import ListAime
from ds01.cli.command.definition import command as verb
from ds01.cli.mlc.command_line import AimeCommand
from ds01.cli.mlc.docker_format import docker_status
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_size, short_name


@verb(example="mlc-list --all", guided=False, kind=AimeCommand)
@click.option("-a", "--all", "everybody", is_flag=True, help="The containers of all users.")
@click.option("-au", "--all_users", "all_users", is_flag=True, help="Same as --all.")
@click.option("-arch", "--architecture", is_flag=True, help="Show their GPU architectures.")
@click.option("-w", "--workspace", is_flag=True, help="Show their workspaces.")
@click.option("-d", "--data", is_flag=True, help="Show their data directories.")
@click.option("-m", "--models", is_flag=True, help="Show their model directories.")
@click.option("-s", "--size", "sizes", is_flag=True, help="Show their disk usage.")
def command(session: Session, everybody: bool, all_users: bool, sizes: bool, **columns: bool) -> None:
    """List containers in AIME's columns, including those created by AIME's own tools.

    container-list shows GPUs and deadlines too.
    """
    everybody = everybody or all_users
    views = session.run(ListAime(owner=session.owner.uid, all_users=everybody, sizes=sizes))
    session.write_document({"containers": [view.container for view in views]})
    if session.as_json:
        return
    extra_columns = [name for name in ("architecture", "workspace", "data", "models") if columns[name]]
    headings = ["CONTAINER", "FRAMEWORK", "STATUS", *(["USER"] if everybody else []), *(["SIZE"] if sizes else [])]
    session.say("\nAvailable ml-containers are:\n")
    rows = [_row(session, view, users=everybody, sizes=sizes, extra_columns=extra_columns) for view in views]
    tables.print_table([*headings, *(name.upper() for name in extra_columns)], rows)
    session.say()


def _row(session: Session, view: AimeView, *, users: bool, sizes: bool, extra_columns: list[str]) -> list[str]:
    container = view.container
    cells = [f"[{short_name(container.container)}]", view.framework or "–", docker_status(view, session.now())]
    cells += [container.user or "–"] if users else []
    cells += [format_size(view.size_bytes)] if sizes else []
    return cells + [getattr(view, name) or "-" for name in extra_columns]
