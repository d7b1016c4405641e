"""Taking over what AIME's tools made: which container is meant, and what is said of it."""

from __future__ import annotations

from ds01.api.answers import Acted
from ds01.api.containers import AdoptContainer
from ds01.api.listing import FindAdoptable, ResolveContainer
from ds01.api.refusals import refusal_of
from ds01.api.views import Listing
from ds01.cli.command.refusals import describe_claims
from ds01.cli.session import Session
from ds01.cli.ui import formats
from ds01.errors import Ds01Error, NoCapacity, NotFound


def resolve_or_find_adoptable(session: Session, reference: str) -> tuple[str, bool]:
    """The full name of a container that is meant, and whether it has to be adopted still. Raises NotFound."""
    try:
        return session.run(ResolveContainer(reference, owner=session.owner.uid)), False
    except NotFound:
        try:
            return session.run(FindAdoptable(reference, owner=session.owner.uid)), True
        except NotFound:  # or somebody adopted it between these two looks
            return session.run(ResolveContainer(reference, owner=session.owner.uid)), False


def report_adoptable(session: Session, listing: Listing, phrase: str) -> None:
    """Name what AIME's tools made for the owner, and nobody took over; `more` than what was shown, or `of these`."""
    names = [formats.short_name(name) for name in listing.adoptable if name.endswith(f"._.{session.owner.uid}")]
    if names:
        session.say(
            f"{len(names)} {phrase} made by AIME's tools ({', '.join(names)}): `container-adopt NAME` takes one over."
        )


def adopt_container(session: Session, container: str, *, ending: bool = False) -> Acted:
    """Adopt a container, and say what it has. `ending`: it is about to be stopped. Raises Ds01Error."""
    try:
        acted = session.run(AdoptContainer(container, ending=ending))
    except NoCapacity as error:
        raise _explain_refusal(session, container, error) from error
    view = acted.container
    if acted.already:
        session.say(f"{view.name} is ds01's already.")
    else:
        gpus = f", with GPU {formats.format_gpus(view.gpus)}" if view.gpus else ""
        session.say(f"Adopted {view.name}, which AIME's tools made: it is {view.state}{gpus}.")
    for warning in () if ending else acted.warnings:
        session.warn(warning)
    return acted


def _explain_refusal(session: Session, container: str, error: NoCapacity) -> Ds01Error:
    """The refusal in words for whom waiting in line is no help."""
    refusal = refusal_of(error)
    assert refusal is not None
    name = formats.short_name(container)
    end_text = (
        f" (by {formats.format_local_time(refusal.earliest, session.now())} at the latest)" if refusal.earliest else ""
    )
    return error.reworded(
        f"{name} runs on a GPU that is not free for it",
        why=describe_claims(refusal.claims, session.now()),
        hint=f"adopt it when that is over{end_text}, or stop it: `mlc-stop {name}`",
    )
