"""Following a stop or a removal: who is waited for, a countdown, and after Ctrl-C what was and was not done."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from ds01.api.containers import ListContainers
from ds01.api.views import Acted, ContainerView, Ending, Saving
from ds01.cli.interrupted import Interrupted
from ds01.cli.live import LiveLine
from ds01.cli.session import Session
from ds01.cli.words import counted, short, worded
from ds01.errors import Ds01Error


def follow(
    session: Session, container: str, steps: Generator[Ending, None, None], *, again: str, removes: bool = False
) -> Acted:
    """Say who is waited for, count down on a terminal, and return the outcome.

    `again` is the command that continues after Ctrl-C; `removes`: the container is removed too. Raises Interrupted.
    """
    live = LiveLine(session)
    name = short(container)
    told: Saving | None = None
    grace = 0
    try:
        with closing(steps):
            for step in steps:
                if step.acted is not None:
                    _say_killed(session, name, live, told, grace)
                    return step.acted
                assert step.saving is not None
                if told is None:
                    grace = step.saving.seconds_left
                    session.say(
                        f"{name}: waiting up to {grace} s for {_processes(step.saving)} to save their work; "
                        "Ctrl-C ends the wait."
                    )
                told = step.saving
                live.show(f"  {told.seconds_left} s left, {_processes(told)} at work")
    except KeyboardInterrupt:
        live.clear()
        error = _what_was_done(session, container, told, again=again, removes=removes)
        raise Interrupted(worded(error, session.now(), login=session.login)) from None
    finally:
        live.clear()
    raise AssertionError("the stop ended without an outcome")


def _say_killed(session: Session, name: str, live: LiveLine, told: Saving | None, grace: int) -> None:
    live.clear()
    if told is not None and told.seconds_left == 0:
        session.say(f"{name}: {_processes(told)} had not ended after {grace} s and had to be killed.")


def _processes(saving: Saving) -> str:
    return counted(saving.processes, "process")


def _what_was_done(session: Session, container: str, told: Saving | None, *, again: str, removes: bool) -> Ds01Error:
    name = short(container)
    try:
        view = _view(session, container)
    except Ds01Error as error:
        return Ds01Error(
            f"interrupted; what became of {name} is not known", why=error.message, hint="`container-list` shows it"
        )
    if view is None:
        return Ds01Error(f"interrupted: {name} was removed")
    if view.state != "running":
        if not removes:
            return Ds01Error(f"interrupted: {name} was stopped", hint=f"`container-start {name}` starts it again")
        return Ds01Error(
            f"interrupted: {name} was stopped, but not removed", hint=f"`container-remove {name}` removes it"
        )
    why = "it still runs" + (", and its GPU is still taken" if view.gpus else "")
    if told is not None:
        why = f"its processes were told to end, {_processes(told)} had not ended yet; {why}"
    return Ds01Error(
        f"interrupted: {name} was {'neither stopped nor removed' if removes else 'not stopped'}",
        why=why,
        hint=f"`{again}` waits for it again\n`container-stop {name} --force` ends it at once",
    )


def _view(session: Session, container: str) -> ContainerView | None:
    """The container as it is now; None if it is gone."""
    uid = int(container.rpartition("._.")[2])
    views = session.run(ListContainers(owner=uid)).containers
    return next((view for view in views if view.container == container and view.state != "removed"), None)
