"""Following a stop or a removal: the wait, a countdown, and after Ctrl-C what was and was not done."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from ds01.api.answers import Acted
from ds01.api.listing import ListContainers
from ds01.api.steps import Ending, Saving
from ds01.api.views import ContainerView
from ds01.cli.command.refusals import adapt_error
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_count, short_name
from ds01.cli.ui.interruption import Interruption
from ds01.cli.ui.live_line import LiveLine
from ds01.errors import Ds01Error


def follow_stop(
    session: Session, container: str, steps: Generator[Ending, None, None], *, retry_command: str, removes: bool = False
) -> Acted:
    """Report the wait, count down on a terminal, and return the outcome.

    `retry_command`: the command that continues after Ctrl-C. `removes`: it is removed too. Raises Interruption.
    """
    live = LiveLine(enabled=session.shows_progress)
    name = short_name(container)
    last_saving: Saving | None = None
    grace = 0
    try:
        with closing(steps):
            for step in steps:
                if step.acted is not None:
                    _report_killed(session, name, live, last_saving, grace)
                    return step.acted
                assert step.saving is not None
                if last_saving is None:
                    grace = step.saving.seconds_left
                    session.say(
                        f"{name}: waiting up to {grace} s for {_count_processes(step.saving)} to save "
                        f"{'its' if step.saving.processes == 1 else 'their'} work; "
                        "Ctrl-C ends the wait."
                    )
                last_saving = step.saving
                live.show(f"  {last_saving.seconds_left} s left, {_count_processes(last_saving)} still running")
    except KeyboardInterrupt:
        live.clear()
        error = _interruption_error(session, container, last_saving, retry_command=retry_command, removes=removes)
        raise Interruption(adapt_error(error, session.now(), login=session.login)) from None
    finally:
        live.clear()
    raise AssertionError("the stop ended without an outcome")


def _report_killed(session: Session, name: str, live: LiveLine, last_saving: Saving | None, grace: int) -> None:
    live.clear()
    if last_saving is not None and last_saving.seconds_left == 0:
        session.say(f"{name}: {_count_processes(last_saving)} had not ended after {grace} s and had to be killed.")


def _count_processes(saving: Saving) -> str:
    return format_count(saving.processes, "process")


def _interruption_error(
    session: Session, container: str, last_saving: Saving | None, *, retry_command: str, removes: bool
) -> Ds01Error:
    name = short_name(container)
    try:
        view = _current_view(session, container)
    except Ds01Error as error:
        return Ds01Error(
            f"interrupted; the state of {name} is unknown", why=error.message, hint="`container-list` shows it"
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
    if last_saving is not None:
        why = f"its processes were told to end, {_count_processes(last_saving)} had not ended yet; {why}"
    return Ds01Error(
        f"interrupted: {name} was {'neither stopped nor removed' if removes else 'not stopped'}",
        why=why,
        hint=f"`{retry_command}` tries again\n`container-stop {name} --force` ends it at once",
    )


def _current_view(session: Session, container: str) -> ContainerView | None:
    """Return the container as it is now; None if it is gone."""
    uid = int(container.rpartition("._.")[2])
    views = session.run(ListContainers(owner=uid)).containers
    return next((view for view in views if view.container == container and view.state != "removed"), None)
