"""container-remove"""

from __future__ import annotations

import click

from ds01.api.containers import RemoveContainer
from ds01.api.listing import ListContainers
from ds01.api.measures import GetSizes
from ds01.api.views import ContainerView
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.stop_progress import follow_stop
from ds01.cli.session import Session
from ds01.cli.ui import formats, prompts
from ds01.errors import UsageError

STOPPED = ("created", "held", "stopped")


@verb(example="container-remove my-thesis", asks=True)
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option(
    "-f", "--force", is_flag=True, help="Remove running containers too, by stopping them first. Asks nothing."
)
@click.option("-a", "--all", "every", is_flag=True, help="Remove all of your stopped containers.")
@click.option("--images", is_flag=True, help="Remove their images too, unless another container uses them.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and change nothing.")
def command(session: Session, names: tuple[str, ...], force: bool, every: bool, images: bool, dry_run: bool) -> None:
    """Remove stopped containers. Their workspaces stay; what was installed inside is lost."""
    if every and names:
        raise UsageError("--all cannot be combined with names")
    containers = _select_containers(session, names, every, force)
    explain(session, "remove")
    sized = session.run(GetSizes(tuple(containers)))
    if dry_run:
        for item in sized:
            session.say(f"Would remove {item.container.name} ({item.container.state}).")
        return session.write_document({"containers": [item.container for item in sized]})
    listed_names = ", ".join(item.container.name for item in sized)
    if (
        containers
        and session.interactive
        and not force
        and not prompts.confirm(f"Remove {listed_names}?", default=True)
    ):
        return session.say("Nothing was removed.")

    def remove(container: str) -> ContainerView:
        steps = session.stream(RemoveContainer(container, force=force, images=images))
        retry_command = f"container-remove {formats.short_name(container)}{' --force' if force else ''}"
        acted = follow_stop(session, container, steps, retry_command=retry_command, removes=True)
        session.say("\n".join([f"Removed {acted.container.name}.", *acted.warnings]))
        return acted.container

    removed = session.for_each(containers, remove)
    if not containers:
        session.say("You have no stopped containers.")
    return session.write_document({"containers": removed})


def _select_containers(session: Session, names: tuple[str, ...], every: bool, force: bool) -> list[str]:
    if every:
        views = session.run(ListContainers(owner=session.owner.uid)).containers
        return [view.container for view in views if view.state in STOPPED or (force and view.state == "running")]
    states = (*STOPPED, "running") if force else STOPPED
    if not names:
        return [session.resolve_container(None, states=states, verb="remove")]
    return list(dict.fromkeys(session.resolve_container(name, states=states, verb="remove") for name in names))
