"""container-stop"""

from __future__ import annotations

import click

from ds01.cli import ask
from ds01.cli.container.making import say_hold
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.errors import WrongUse
from ds01.lifecycle.views import Acted


@verb(example="container-stop my-thesis", asks=True)
@click.argument("name", required=False)
@click.option("-f", "--force", is_flag=True, help="At once, without asking and without time to save.")
@click.option("-t", "--timeout", type=click.FloatRange(min=0), metavar="S", help="Time to save. Default: the policy's.")
@click.option("-a", "--all", "every", is_flag=True, help="All of your running containers.")
@click.option("--release", is_flag=True, help="The GPU is free at once, also the one of a stopped container.")
@click.option("--keep-container", is_flag=True, help="Do not offer to remove it, and keep it.")
def command(
    session: Session,
    name: str | None,
    force: bool,
    timeout: float | None,
    every: bool,
    release: bool,
    keep_container: bool,
) -> None:
    """Stop a container. Its programs are told and get time to save; its GPU is held for a while.

    Leaving a container is not stopping it: see container-exit.
    """
    if every and name is not None:
        raise WrongUse("a name and --all at once")
    if every:
        views = session.gate.containers(session.actor, owner=session.owner.uid)
        names = [view.container for view in views if view.state == "running"]
    else:
        states = ("running", "held", "created") if release else ("running",)
        names = [session.find(name, states=states, verb="stop")]
    if not names:
        session.say("No container of yours runs.")
    grace = 0.0 if force else timeout
    stopped = [_stop(session, item, force, grace, release, keep_container) for item in names]
    views = tuple(acted.container for acted in stopped if acted is not None)
    session.answer({"containers": views} if every else {"container": views[0] if views else None})


def _stop(
    session: Session, container: str, force: bool, grace: float | None, release: bool, keep: bool
) -> Acted | None:
    name = container.partition("._.")[0]
    explain(session, "stop", name=name)
    count = session.gate.processes(session.actor, container)
    if session.interactive and not force:
        ends = f"{count} process{'' if count == 1 else 'es'} will end" if count else "nothing is at work in it"
        if not ask.confirm(f"Stop {name}? ({ends})", default=True):
            return None
    elif count:
        session.say(f"Stopping {name}: {count} process{'' if count == 1 else 'es'} will end …")
    acted = session.gate.stop(session.actor, container, grace=grace, release=release, keep=keep)
    state = acted.container.state
    if not acted.already:
        session.say(f"Stopped {name}.")
    else:
        session.say(f"{name} is {state} already." if not release else f"{name} is {state}, its GPU is free.")
    say_hold(session, acted)
    if acted.container.gpus:
        session.say(f"Give it back now: container-stop {name} --release, or container-retire {name}")
    offered = session.interactive and not (force or keep or acted.already)
    if offered and ask.confirm(f"Remove {name} now? Its workspace stays", default=False):
        acted = session.gate.remove(session.actor, container)
        session.say(f"Removed {name}.")
    return acted
