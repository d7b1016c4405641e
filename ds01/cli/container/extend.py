"""container-extend"""

from __future__ import annotations

from datetime import timedelta

import click

from ds01.api.containers import ExtendContainer
from ds01.api.listing import ResolveContainer
from ds01.api.types import NEXT_ACTIONS
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.startup import suggest_start
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_deadline
from ds01.errors import Ds01Error, UsageError
from ds01.policy.units import parse_duration


@verb(example='container-extend my-thesis 12h --reason "last epoch"', asks=True)
@click.argument("words", nargs=-1, required=True, metavar="[NAME] DURATION")
@click.option("--reason", metavar="TEXT", help="Recorded with the extension.")
def command(session: Session, words: tuple[str, ...], reason: str | None) -> None:
    """Extend the idle and runtime deadlines of a running container by DURATION, such as 12h or 2d.

    All extensions since the last start may add up to the policy's max_extension.
    """
    explain(session, "extend")
    if len(words) > 2:
        raise UsageError("expected a name and a duration", hint="`container-extend my-thesis 12h`")
    duration = _duration(session, words)
    if len(words) == 1 and not session.interactive:
        raise UsageError("which container?", hint=f"name it: `container-extend NAME {words[0]}`")
    container = session.resolve_container(words[0] if len(words) == 2 else None, states=("running",), verb="extend")
    with suggest_start(container):
        acted = session.run(ExtendContainer(container, duration, reason=reason))
    view = acted.container
    session.write_document({"container": view})
    if view.deadline is None:
        session.say(f"Extended {view.name}; it has no deadline.")
    else:
        at = format_deadline(view.deadline.at, session.now())
        session.say(f"Extended {view.name}: its next deadline is {at}, {NEXT_ACTIONS[view.deadline.because]}.")


def _duration(session: Session, words: tuple[str, ...]) -> timedelta:
    """Return the duration in the last word. Raises UsageError."""
    name = words[0] if len(words) == 2 else "NAME"
    try:
        duration = parse_duration(words[-1])
    except ValueError as error:
        if len(words) == 1 and _is_container(session, words[0]):
            hint = f"`container-extend {words[0]} 12h`"
            raise UsageError("no duration was given", why=f"{words[0]} is a container", hint=hint) from None
        hint = f"durations are like 30m, 12h or 2d: `container-extend {name} 12h`"
        raise UsageError(f"'{words[-1]}' is not a duration", why=str(error), hint=hint) from None
    if not duration:
        hint = f"`container-extend {name} 12h`"
        raise UsageError(f"'{words[-1]}' would extend nothing", why="an extension must be longer than 0", hint=hint)
    return duration


def _is_container(session: Session, name: str) -> bool:
    try:
        session.run(ResolveContainer(name, owner=session.owner.uid))
    except Ds01Error:
        return False
    return True
