"""container-retire"""

from __future__ import annotations

import click

from ds01.api.containers import CountProcesses, GetSizes, RemoveContainer
from ds01.cli import ask, words
from ds01.cli.container.ending import follow
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.session import Session


@verb(example="container-retire my-thesis", asks=True)
@click.argument("name", required=False)
@click.option("-f", "--force", is_flag=True, help="Ask nothing.")
@click.option("--images", is_flag=True, help="Remove its image too, unless another container uses it.")
@click.option("--dry-run", is_flag=True, help="Show what would go, and change nothing.")
def command(session: Session, name: str | None, force: bool, images: bool, dry_run: bool) -> None:
    """Stop a container, remove it, and free its GPU at once.

    Your workspace, your images and your Dockerfiles stay.
    """
    container = session.find(name, states=("running", "created", "held", "stopped"), verb="retire")
    name = words.short(container)
    explain(session, "retire", name=name)
    (sized,) = session.run(GetSizes((container,)))
    gpus = sized.container.gpus
    stays = f"{words.gpus_as_subject(gpus, 'comes', 'come')} free, " if gpus else ""
    stays += "the workspace stays"
    if dry_run:
        session.say(f"Would stop and remove {name}; {stays}.")
        return session.answer({"container": sized.container})
    if session.interactive and not force:
        count = session.run(CountProcesses(container))
        ends = f"{words.processes(count)}, " if count else ""
        if not ask.confirm(f"Retire {name}? ({ends}{stays})", default=True):
            return session.say(f"Nothing was retired: {name} stays as it is.")
    steps = session.stream(RemoveContainer(container, force=True, images=images))
    acted = follow(session, container, steps, again=f"container-retire {name}", removes=True)
    for warning in acted.warnings:
        session.say(warning)
    freed = f"{words.gpus_as_subject(gpus, 'is', 'are')} free, " if gpus else ""
    session.say(f"Retired {name}: {freed}the workspace stays.")
    return session.answer({"container": acted.container})
