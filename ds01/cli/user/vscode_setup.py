"""vscode-setup"""

from __future__ import annotations

from pathlib import Path

import click

from ds01.cli.command.definition import BoundedInteger
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.creation.options import resolve_directory
from ds01.cli.project import target
from ds01.cli.session import Session
from ds01.projects import vscode
from ds01.projects.ssh_host import SSH_PORT, check_host


@verb(example="vscode-setup --host server.example.org")
@click.option("--write", "file", metavar="FILE", help="Add the entry to this file, if it is not in it.")
@click.option("--host", metavar="HOST", help="The name by which this server is reached from outside.")
@click.option("--port", type=BoundedInteger(1, 65535), default=SSH_PORT, help="The SSH port. Default: 22.")
def command(session: Session, file: str | None, host: str | None, port: int) -> None:
    """Explain how to use VS Code on your own computer with this server, and show the entry for ~/.ssh/config."""
    explain(session, "vscode")
    login = session.owner.login
    host = session.server_name if host is None else check_host(host)
    entry = vscode.host_entry(login, host, port)
    path = resolve_directory(session, file)
    step = None if path is None else vscode.write_host_entry(session.home, Path(path), entry)
    document = {"login": login, "host": host, "port": port, "alias": vscode.HOST_ALIAS, "entry": entry, "path": path}
    session.write_document(document | {"step": step})
    target.show_unwrapped(session, vscode.setup_guide(login, host, port))
    if step is not None:
        target.show_step(session, step)
