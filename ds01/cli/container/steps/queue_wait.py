"""Waiting in the queue for a GPU: the options of the commands that can wait, and the progress messages."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from datetime import timedelta

import click

from ds01.api.answers import Acted
from ds01.api.operation import Steps
from ds01.api.refusals import refusal_of
from ds01.api.steps import StartStep, Waiting
from ds01.cli.command.advice import current_context
from ds01.cli.command.definition import option_group
from ds01.cli.command.refusals import describe_end_of_wait, describe_refusal
from ds01.cli.session import Session
from ds01.dataclass import dataclass
from ds01.errors import NoCapacity, UsageError
from ds01.policy.units import parse_duration

WAIT_OPTIONS = (
    click.option("--wait", is_flag=True, help="Wait in the queue if no GPU is free; Ctrl-C leaves it."),
    click.option("--wait-for", metavar="DURATION", help="Wait in the queue for at most this long, such as 2h."),
)


@dataclass(frozen=True)
class WaitOptions:
    """Whether to wait in the queue if no GPU is free, and for how long."""

    wait: bool = False
    wait_for: str | None = None

    def check(self) -> None:
        """Raise UsageError if the duration is invalid."""
        wait_limit(self.wait_for)

    @property
    def waits(self) -> bool:
        """Whether to wait if no GPU is free."""
        return self.wait or self.wait_for is not None


# For the commands that start a container; the function gets them as one `WaitOptions`.
wait_options = option_group(WaitOptions, WAIT_OPTIONS)


def wait_limit(text: str | None) -> timedelta | None:
    """Return how long to wait; None: without a limit. Raises UsageError."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a duration", why=str(error), hint="`--wait-for 2h`") from None


def follow_queue(session: Session, steps: Steps[StartStep], wait_for: str | None) -> Acted:
    """Report each new position in the queue, and return the outcome. Ctrl-C leaves the queue.

    `wait_for`: the longest wait, as typed. Raises NoCapacity when it is over.
    """
    with end_of_wait(session, wait_for), contextlib.closing(steps):
        for step in steps:
            if step.acted is not None:
                return step.acted
            assert step.waiting is not None
            say_position(session, step.waiting)
    raise AssertionError("the wait ended without an outcome")


def say_position(session: Session, waiting: Waiting) -> None:
    """Report a new position in the queue, and why no GPU is free."""
    gc.enable()  # this may take days
    why = describe_refusal(waiting.refusal, session.now(), current_context())
    session.say(f"Waiting, number {waiting.position} in the queue ({waiting.id}): {why[0]}")
    session.say("\n".join(f"  {line}" for line in (why[1] or "").splitlines()))


@contextlib.contextmanager
def end_of_wait(session: Session, wait_for: str | None) -> Iterator[None]:
    """Reword the error of a wait that has lasted `wait_for` (as typed)."""
    try:
        yield
    except NoCapacity as error:
        refusal = refusal_of(error)
        if wait_for is None or refusal is None or not refusal.temporary:
            raise
        message, claims, hint = describe_end_of_wait(refusal, wait_for, session.now())
        raise error.reworded(message, why=claims, hint=hint) from error
