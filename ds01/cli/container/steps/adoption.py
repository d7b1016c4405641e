"""Adopting containers created by AIME's tools: finding the one that is meant, and reporting the result."""

from __future__ import annotations

from ds01.api.answers import Acted
from ds01.api.containers import AdoptContainer
from ds01.api.listing import FindAdoptable, ResolveContainer
from ds01.api.refusals import refusal_of
from ds01.cli.command.refusals import describe_claims
from ds01.cli.session import Session
from ds01.cli.ui import formats
from ds01.errors import Ds01Error, NoCapacity, NotFound


def resolve_or_find_adoptable(session: Session, reference: str) -> tuple[str, bool]:
    """Return a container's full name, and whether it still has to be adopted. Raises NotFound."""
    try:
        return session.run(ResolveContainer(reference, owner=session.owner.uid)), False
    except NotFound:
        try:
            return session.run(FindAdoptable(reference, owner=session.owner.uid)), True
        except NotFound:  # or it was adopted between these two lookups
            return session.run(ResolveContainer(reference, owner=session.owner.uid)), False


def adopt_container(session: Session, container: str, *, ending: bool = False) -> Acted:
    """Adopt a container, and report its state and GPUs. `ending`: it is about to be stopped. Raises Ds01Error."""
    try:
        acted = session.run(AdoptContainer(container, ending=ending))
    except NoCapacity as error:
        raise _explain_refusal(session, container, error) from error
    view = acted.container
    if acted.already:
        session.say(f"{view.name} is already managed by ds01.")
    else:
        gpus = f", with GPU {formats.format_gpus(view.gpus)}" if view.gpus else ""
        session.say(f"Adopted {view.name}, created by AIME's tools: it is {view.state}{gpus}.")
    for warning in () if ending else acted.warnings:
        session.warn(warning)
    return acted


def _explain_refusal(session: Session, container: str, error: NoCapacity) -> Ds01Error:
    """Reword the refusal: waiting in the queue does not help here, so the hint must not suggest it."""
    refusal = refusal_of(error)
    assert refusal is not None
    name = formats.short_name(container)
    end_text = (
        f" (by {formats.format_local_time(refusal.earliest, session.now())} at the latest)" if refusal.earliest else ""
    )
    return error.reworded(
        f"{name} runs on a GPU that is not free for it",
        why=describe_claims(refusal.claims, session.now()),
        hint=f"adopt it when the GPU is free{end_text}, or stop it: `mlc-stop {name}`",
    )
