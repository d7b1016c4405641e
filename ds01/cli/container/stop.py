"""container-stop"""

from __future__ import annotations

from functools import partial

import click

from ds01.api.answers import Acted
from ds01.api.containers import RemoveContainer, StopContainer
from ds01.api.listing import ListContainers
from ds01.api.measures import CountProcesses
from ds01.api.views import ContainerView
from ds01.cli.command.definition import BoundedInteger
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.stop_progress import follow_stop
from ds01.cli.container.steps.usage_advice import describe_advice, get_advice
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.cli.ui.formats import describe_ending_processes, format_deadline, gpus_as_subject, short_name
from ds01.errors import UsageError


@verb(example="container-stop my-thesis", asks=True)
@click.argument("name", required=False)
@click.option("-f", "--force", is_flag=True, help="Stop at once, without asking and without time to save.")
@click.option(
    "-t", "--timeout", type=BoundedInteger(0, 86400), metavar="S", help="Seconds to save. Default: the policy's."
)
@click.option("-a", "--all", "every", is_flag=True, help="Stop all of your running containers.")
@click.option("--release", is_flag=True, help="Free the GPU at once, also that of a stopped container.")
@click.option("--keep-container", "keep", is_flag=True, help="Keep the container, and do not offer to remove it.")
def command(
    session: Session, name: str | None, force: bool, timeout: int | None, every: bool, release: bool, keep: bool
) -> None:
    """Stop a container. Its programs are told to end and get time to save; its GPU is held for a while.

    Leaving a container is not stopping it: see container-exit.
    """
    if every and name is not None:
        raise UsageError("--all cannot be combined with a name")
    if force and timeout is not None:
        raise UsageError("--force cannot be combined with --timeout", why="--force gives no time to save")
    # --release also takes containers that do not run but still have a GPU.
    states = ("running", "held", "created") if release else ("running",)
    if every:
        views = session.run(ListContainers(owner=session.owner.uid)).containers
        names = [view.container for view in views if view.state == "running" or (view.gpus and view.state in states)]
    else:
        names = [session.resolve_container(name, states=states, verb="stop")]
    if not names:
        session.say("You have no running containers.")
    stop = partial(_stop, session, force=force, grace=0 if force else timeout, release=release, keep=keep)
    stopped = [acted.container for acted in session.for_each(names, stop) if acted is not None]
    session.write_document({"containers": stopped} if every else {"container": stopped[0] if stopped else None})


def _stop(
    session: Session, container: str, *, force: bool, grace: float | None, release: bool, keep: bool
) -> Acted | None:
    """Stop one container; None if the user declined."""
    name = short_name(container)
    explain(session, "stop", name=name)
    process_count = session.run(CountProcesses(container))
    if session.interactive and not force:
        consequence = describe_ending_processes(process_count) if process_count else "nothing is running in it"
        if not prompts.confirm(f"Stop {name}? ({consequence})", default=True):
            session.say(f"Nothing was stopped: {name} goes on running.")
            return None
    elif process_count:
        session.say(f"Stopping {name}: {describe_ending_processes(process_count)} …")
    advice = get_advice(session, container)  # before a release ends the lease
    steps = session.stream(StopContainer(container, grace=grace, release=release, keep=keep))
    acted = follow_stop(session, container, steps, retry_command=f"container-stop {name}")
    report_outcome(session, acted, released=release, kept=keep)
    if advice is not None and (line := describe_advice(name, advice, past=True)) is not None:
        session.say(line)
    for warning in acted.warnings:
        session.warn(warning)
    offers_removal = session.interactive and not (force or keep or acted.already)
    if offers_removal and _confirm_removal(name):
        acted = session.run(RemoveContainer(container))
        session.say(f"Removed {name}.")
        for warning in acted.warnings:
            session.warn(warning)
    return acted


def _confirm_removal(name: str) -> bool:
    """Ask whether to remove the stopped container. Ctrl-C means no: the stop itself has succeeded."""
    try:
        return prompts.confirm(f"Remove {name} now? Its workspace stays", default=False)
    except click.Abort:
        return False


def report_outcome(session: Session, acted: Acted, *, released: bool, kept: bool = False) -> None:
    """Report the result of a stop, and until when the GPU is held."""
    view = acted.container
    session.say(f"{view.name} is not running (it is {view.state})." if acted.already else f"Stopped {view.name}.")
    if acted.already and kept:
        session.say("It is kept until you remove it.")
    if view.gpus:
        subject, holder = gpus_as_subject(view.gpus, "is", "are"), _holder_name(session, view)
        session.say(f"{subject} held for {holder} {_hold_end_text(session, view)}.")
        session.say(f"Give {'it' if len(view.gpus) == 1 else 'them'} back now: `container-stop {view.name} --release`")
    elif released:
        session.say("It has no GPU any more.")


def _holder_name(session: Session, view: ContainerView) -> str:
    return "you" if view.user in (None, session.actor.login) else f"{view.user}"


def _hold_end_text(session: Session, view: ContainerView) -> str:
    end = view.held_until or (view.deadline.at if view.deadline and view.deadline.because == "created" else None)
    return f"until {format_deadline(end, session.now())}" if end else "until you give it back"
