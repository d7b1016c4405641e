"""Handling a container that would be refused: the error, or at a terminal a choice of alternatives."""

from __future__ import annotations

import dataclasses
from collections import Counter

from ds01.api.containers import PlanContainer
from ds01.api.refusals import error_of
from ds01.api.server import GetGpuStatus
from ds01.api.types import ContainerRequest
from ds01.cli.command.advice import current_context
from ds01.cli.command.refusals import adapt_error, describe_missing
from ds01.cli.container.creation.options import CreateOptions
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.cli.ui.formats import format_error
from ds01.cli.ui.output import print_text
from ds01.errors import Ds01Error
from ds01.gpus.model import Refusal, Rule


def refusal_error(session: Session, request: ContainerRequest, refusal: Refusal) -> Ds01Error:
    """Return the refusal as an error; if the server lacks such GPUs, the error lists what it has."""
    if refusal.rule is not Rule.NO_GPUS:
        return error_of(refusal)
    kinds = Counter(slot.profile or slot.kind.value for slot in session.run(GetGpuStatus()).present)
    message, why, hint = describe_missing(refusal, request.gpus, kinds, current_context())
    return error_of(refusal).reworded(message, why=why, hint=hint)


def resolve_refusal(session: Session, options: CreateOptions, image: str, *, fallback: str) -> CreateOptions | None:
    """Return options that would not be refused: those given, or alternatives that the user chooses at a terminal.

    `fallback`: an extra choice, for which None is returned. Raises the refusal if nobody can be asked, and any other
    error that prevents the container.
    """
    while True:
        request = ContainerRequest(session.owner.uid, options.name or "", image, gpus=options.gpu_request())
        waits = options.waits
        plan = session.run(PlanContainer(request, attempt=not session.interactive, waits=waits))
        if plan.refusal is None or (waits and plan.refusal.temporary):
            return options
        error = adapt_error(refusal_error(session, request, plan.refusal), session.now())
        if not session.interactive:
            raise error
        print_text(format_error(error), error=True)
        alternatives = _alternatives(options, plan.refusal)
        chosen = prompts.choose("How do you want to continue?", [*alternatives, fallback])
        if chosen == len(alternatives):
            return None
        options = list(alternatives.values())[chosen]


def _alternatives(options: CreateOptions, refusal: Refusal) -> dict[str, CreateOptions]:
    """Return alternative options that may be accepted, by their description."""
    alternatives: dict[str, CreateOptions] = {}
    if refusal.rule is Rule.CONTAINERS:
        return alternatives
    without_gpu_options = dataclasses.replace(
        options, gpus=None, gpu_type=None, profile=None, wait=False, wait_for=None
    )
    alternatives["without a GPU"] = dataclasses.replace(without_gpu_options, cpu_only=True)
    if refusal.temporary and not options.waits:
        alternatives["wait in the queue for a GPU"] = dataclasses.replace(options, wait=True)
    if (options.gpus or 1) > 1:
        alternatives["with one GPU"] = dataclasses.replace(without_gpu_options, gpus=1)
    return alternatives
