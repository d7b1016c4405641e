"""ds01 gpu release"""

from __future__ import annotations

from ds01.api.containers import ReleaseLease
from ds01.cli.gpu.options import container as option_container
from ds01.cli.gpu.options import named, show
from ds01.cli.options import command as verb
from ds01.cli.session import Session


@verb(example="ds01 gpu release --container my-thesis", guided=False)
@option_container
def command(session: Session, container: str) -> None:
    """Give a lease back: of a stopped container, or one that was made by hand."""
    full = named(session, container)
    acted = session.run(ReleaseLease(full))
    for warning in acted.warnings:
        session.warn(warning)
    show(session, acted)
