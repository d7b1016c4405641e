"""ssh-setup"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.project import target
from ds01.cli.session import Session
from ds01.projects import ssh
from ds01.projects.ssh_host import check_host


@verb(example="ssh-setup --no-passphrase", asks=True)
@click.option("--comment", metavar="TEXT", help="The comment in the key. Default: login and server.")
@click.option("--no-passphrase", is_flag=True, help="Do not protect the key with a passphrase.")
@click.option("--host", metavar="HOST", help="The name by which this server is reached from outside.")
def command(session: Session, comment: str | None, no_passphrase: bool, host: str | None) -> None:
    """Create an SSH key for connections from this server, such as to GitHub, and show how to reach the server.

    The private part stays in ~/.ssh/id_ed25519 and is never shown. An existing key is kept.
    """
    host = session.server_name if host is None else check_host(host)
    set_up_ssh(session, host, comment, ask_passphrase=session.interactive and not no_passphrase)


def set_up_ssh(session: Session, host: str, comment: str | None = None, *, ask_passphrase: bool) -> None:
    """Create the key, show its public part, and print how to reach this server."""
    explain(session, "ssh")
    home, login = session.home, session.owner.login
    comment = f"{login}@{host}" if comment is None else comment
    step = ssh.set_up_key(home, comment=comment, ask_passphrase=ask_passphrase)
    public, fingerprint = ssh.public_key(home), ssh.fingerprint(home)
    session.write_document(
        {"login": login, "host": host, "public_key": public, "fingerprint": fingerprint, "step": step}
    )
    target.show_step(session, step)
    if public is not None:
        session.say("\nThe public part. Everybody may see it; GitHub, GitLab and other servers ask for it:")
        target.show_unwrapped(session, [f"  {public}", ""])
    target.show_unwrapped(session, ssh.connection_guide(login, host))
    if fingerprint is not None:
        session.say(f"The first time, ssh asks whether this is the right server. It is if ssh shows {fingerprint}.")
