"""ds01 limits"""

from __future__ import annotations

from typing import Any

import click

from ds01.api.answers import LimitsView
from ds01.api.server import GetLimits
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import describe_reservation
from ds01.cli.ui.output import print_text
from ds01.policy.limit_lines import limit_lines


@verb(example="ds01 limits alice --explain", guided=False, user=False)
@click.argument("who", required=False, metavar="[USER]")
@click.option("--explain", "explained", is_flag=True, help="Also show where each value comes from.")
@click.option("--docker-args", is_flag=True, help="Print the flags for `docker create`, and nothing else.")
def command(session: Session, who: str | None, explained: bool, docker_args: bool) -> None:
    """Show the limits that the policy gives a user, by default you."""
    account = session.owner if who is None else session.users.by_login(who)
    view = session.run(GetLimits(owner=account.uid))
    session.write_document(_document(view))
    if session.as_json:
        return
    if docker_args:
        print_text(" ".join(view.arguments))
        return
    shown = limit_lines(view.limits)
    if explained:
        sources = view.limits.sources
        rows = [(line.label, line.text, sources.get(line.key, "")) for line in shown]
        tables.print_table(("LIMIT", "VALUE", "FROM"), rows)
    else:
        print_text("\n".join(f"{line.label}: {line.text}" for line in shown))
    for item in view.reservations:
        print_text(f"Reserved: {describe_reservation(item, session.now())}")
    for warning in view.warnings:
        session.warn(warning)


def _document(view: LimitsView) -> dict[str, Any]:
    resolved = view.limits
    head = {"user": resolved.user, "group": resolved.group, "priority": resolved.limits.priority}
    return head | vars(resolved.limits) | {"sources": resolved.sources}
