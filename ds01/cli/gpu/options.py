"""What the commands of the allocator share: naming a container of a user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ds01.api.answers import Acted
from ds01.api.listing import ResolveContainer
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_gpus


def container_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option that names the container; `--user` says whose."""
    return click.option("--container", required=True, metavar="NAME", help="The container, or its full name.")(function)


def resolve_record(session: Session, name: str) -> str:
    """The full name of an existing record."""
    return session.run(ResolveContainer(name, owner=session.owner.uid))


def show_lease(session: Session, acted: Acted) -> None:
    """Say what a lease is now."""
    view = acted.container
    session.write_document({"container": view})
    gpus = f"GPU {format_gpus(view.gpus)}" if view.gpus else "no GPU"
    session.say(f"{view.name} of {view.user}: {view.state}, {gpus}")
