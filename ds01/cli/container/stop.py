"""container-stop"""

from __future__ import annotations

from functools import partial

import click

from ds01.api.containers import CountProcesses, ListContainers, RemoveContainer, StopContainer
from ds01.api.views import Acted, ContainerView
from ds01.cli import ask
from ds01.cli.container.ending import follow
from ds01.cli.guide import explain
from ds01.cli.options import Whole
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import gpus_as_subject, moment, processes, short
from ds01.errors import WrongUse


@verb(example="container-stop my-thesis", asks=True)
@click.argument("name", required=False)
@click.option("-f", "--force", is_flag=True, help="At once, without asking and without time to save.")
@click.option("-t", "--timeout", type=Whole(0, 86400), metavar="S", help="Seconds to save; else the policy's.")
@click.option("-a", "--all", "every", is_flag=True, help="All of your running containers.")
@click.option("--release", is_flag=True, help="The GPU is free at once, also the one of a stopped container.")
@click.option("--keep-container", "keep", is_flag=True, help="Do not offer to remove it, and keep it.")
def command(
    session: Session, name: str | None, force: bool, timeout: int | None, every: bool, release: bool, keep: bool
) -> None:
    """Stop a container. Its programs are told and get time to save; its GPU is held for a while.

    Leaving a container is not stopping it: see container-exit.
    """
    if every and name is not None:
        raise WrongUse("a name and --all at once")
    if force and timeout is not None:
        raise WrongUse("--force and --timeout at once", why="--force gives no time to save")
    # With --release also what only has its GPU.
    states = ("running", "held", "created") if release else ("running",)
    if every:
        views = session.run(ListContainers(owner=session.owner.uid)).containers
        names = [view.container for view in views if view.state == "running" or (view.gpus and view.state in states)]
    else:
        names = [session.find(name, states=states, verb="stop")]
    if not names:
        session.say("No container of yours runs.")
    stop = partial(_stop, session, force=force, grace=0 if force else timeout, release=release, keep=keep)
    stopped = [acted.container for acted in session.each(names, stop) if acted is not None]
    session.answer({"containers": stopped} if every else {"container": stopped[0] if stopped else None})


def _stop(
    session: Session, container: str, *, force: bool, grace: float | None, release: bool, keep: bool
) -> Acted | None:
    """Stop one; None if somebody at the terminal said no."""
    name = short(container)
    explain(session, "stop", name=name)
    count = session.run(CountProcesses(container))
    if session.interactive and not force:
        ends = processes(count) if count else "nothing is at work in it"
        if not ask.confirm(f"Stop {name}? ({ends})", default=True):
            session.say(f"Nothing was stopped: {name} goes on running.")
            return None
    elif count:
        session.say(f"Stopping {name}: {processes(count)} …")
    steps = session.stream(StopContainer(container, grace=grace, release=release, keep=keep))
    acted = follow(session, container, steps, again=f"container-stop {name}")
    say_outcome(session, acted, released=release, kept=keep)
    for warning in acted.warnings:
        session.warn(warning)
    offered = session.interactive and not (force or keep or acted.already)
    if offered and _wants_removal(name):
        acted = session.run(RemoveContainer(container))
        session.say(f"Removed {name}.")
        for warning in acted.warnings:
            session.warn(warning)
    return acted


def _wants_removal(name: str) -> bool:
    """Ask whether a stopped container goes now. The stop is done, whatever the answer: no answer is no."""
    try:
        return ask.confirm(f"Remove {name} now? Its workspace stays", default=False)
    except click.Abort:
        return False


def say_outcome(session: Session, acted: Acted, *, released: bool, kept: bool = False) -> None:
    """Say what came of a stop, and until when the GPU is held."""
    view = acted.container
    session.say(f"{view.name} does not run (it is {view.state})." if acted.already else f"Stopped {view.name}.")
    if acted.already and kept:
        session.say("It is kept: nothing removes it but you.")
    if view.gpus:
        session.say(
            f"{gpus_as_subject(view.gpus, 'is', 'are')} held for {_whom(session, view)} {_until(session, view)}."
        )
        session.say(f"Give {'it' if len(view.gpus) == 1 else 'them'} back now: `container-stop {view.name} --release`")
    elif released:
        session.say("It has no GPU any more.")


def _whom(session: Session, view: ContainerView) -> str:
    return "you" if view.user in (None, session.actor.login) else f"{view.user}"


def _until(session: Session, view: ContainerView) -> str:
    end = view.held_until or (view.deadline.at if view.deadline and view.deadline.because == "created" else None)
    return f"until {moment(end, session.now())}" if end else "until you give it back"
