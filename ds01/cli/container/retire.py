"""container-retire"""

from __future__ import annotations

import click

from ds01.api.containers import RemoveContainer
from ds01.api.measures import CountProcesses, GetSizes
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.stop_progress import follow_stop
from ds01.cli.container.steps.usage_advice import describe_advice, get_advice
from ds01.cli.session import Session
from ds01.cli.ui import formats, prompts


@verb(example="container-retire my-thesis", asks=True)
@click.argument("name", required=False)
@click.option("-f", "--force", is_flag=True, help="Ask nothing.")
@click.option("--images", is_flag=True, help="Remove its image too, unless another container uses it.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and change nothing.")
def command(session: Session, name: str | None, force: bool, images: bool, dry_run: bool) -> None:
    """Stop a container, remove it, and free its GPU at once.

    Your workspace, your images and your Dockerfiles stay.
    """
    container = session.resolve_container(name, states=("running", "created", "held", "stopped"), verb="retire")
    name = formats.short_name(container)
    explain(session, "retire", name=name)
    (sized,) = session.run(GetSizes((container,)))
    gpus = sized.container.gpus
    consequence = f"{formats.gpus_as_subject(gpus, 'comes', 'come')} free, " if gpus else ""
    consequence += "the workspace stays"
    if dry_run:
        session.say(f"Would stop and remove {name}; {consequence}.")
        return session.write_document({"container": sized.container})
    if session.interactive and not force:
        process_count = session.run(CountProcesses(container))
        process_text = f"{formats.describe_ending_processes(process_count)}, " if process_count else ""
        if not prompts.confirm(f"Retire {name}? ({process_text}{consequence})", default=True):
            return session.say(f"Nothing was retired: {name} stays as it is.")
    advice = get_advice(session, container)  # before the lease ends
    steps = session.stream(RemoveContainer(container, force=True, images=images))
    acted = follow_stop(session, container, steps, retry_command=f"container-retire {name}", removes=True)
    for warning in acted.warnings:
        session.say(warning)
    freed_text = f"{formats.gpus_as_subject(gpus, 'is', 'are')} free, " if gpus else ""
    session.say(f"Retired {name}: {freed_text}the workspace stays.")
    if advice is not None and (line := describe_advice(name, advice, past=True)) is not None:
        session.say(line)
    return session.write_document({"container": acted.container})
