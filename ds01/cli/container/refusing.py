"""A container that would be refused: the error, and at a terminal what is possible in its place."""

from __future__ import annotations

import dataclasses
from collections import Counter

from ds01.api.containers import PlanContainer
from ds01.api.refusals import error_of
from ds01.api.server import GetGpuStatus
from ds01.cli import ask
from ds01.cli.advice import offer
from ds01.cli.container.asked import Asked
from ds01.cli.output import put
from ds01.cli.refusals import describe_missing
from ds01.cli.session import Session
from ds01.cli.words import describe_error, worded
from ds01.errors import Ds01Error
from ds01.gpus.model import Refusal, Rule
from ds01.records.request import ContainerRequest


def refusal_error(session: Session, request: ContainerRequest, refusal: Refusal) -> Ds01Error:
    """Return the refusal as an error; of what the server does not have, with what it has."""
    if refusal.rule is not Rule.NO_GPUS:
        return error_of(refusal)
    kinds = Counter(slot.profile or slot.kind.value for slot in session.run(GetGpuStatus()).present)
    message, why, hint = describe_missing(refusal, request.gpus, kinds, offer())
    return error_of(refusal).reworded(message, why=why, hint=hint)


def settle(session: Session, options: Asked, image: str, *, instead: str) -> Asked | None:
    """Return the options when a container with them would not be refused: at a terminal others can be chosen.

    `instead`: what is offered beside them; None is returned if that was chosen. Raises the refusal where nobody can be
    asked, and whatever else keeps the container from being made.
    """
    while True:
        request = ContainerRequest(session.owner.uid, options.name or "", image, gpus=options.gpu_request())
        waits = options.waits
        plan = session.run(PlanContainer(request, attempt=not session.interactive, waits=waits))
        if plan.refusal is None or (waits and plan.refusal.temporary):
            return options
        error = worded(refusal_error(session, request, plan.refusal), session.now())
        if not session.interactive:
            raise error
        put(describe_error(error), error=True)
        ways = _ways(options, plan.refusal)
        chosen = ask.choose("How do you want to continue?", [*ways, instead])
        if chosen == len(ways):
            return None
        options = list(ways.values())[chosen]


def _ways(options: Asked, refusal: Refusal) -> dict[str, Asked]:
    """The options that may not be refused, by what is said of them."""
    ways: dict[str, Asked] = {}
    if refusal.rule is Rule.CONTAINERS:
        return ways
    plain = dataclasses.replace(options, gpus=None, gpu_type=None, profile=None, wait=False, wait_for=None)
    ways["without a GPU"] = dataclasses.replace(plain, cpu_only=True)
    if refusal.temporary and not options.waits:
        ways["wait in line for a GPU"] = dataclasses.replace(options, wait=True)
    if (options.gpus or 1) > 1:
        ways["with one GPU"] = dataclasses.replace(plain, gpus=1)
    return ways
