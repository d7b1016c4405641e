"""What the `ds01 gpu` commands share: the option that names a container, and the output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ds01.api.answers import Acted
from ds01.api.listing import ResolveContainer
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_gpus


def container_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that names the container; `--user` names its owner."""
    return click.option("--container", required=True, metavar="NAME", help="The container's name, or its full name.")(
        function
    )


def resolve_record(session: Session, name: str) -> str:
    """Return the full name of a recorded container."""
    return session.run(ResolveContainer(name, owner=session.owner.uid))


def show_lease(session: Session, acted: Acted) -> None:
    """Print the state of a lease."""
    view = acted.container
    session.write_document({"container": view})
    gpus = f"GPU {format_gpus(view.gpus)}" if view.gpus else "no GPU"
    session.say(f"{view.name} of {view.user}: {view.state}, {gpus}")
