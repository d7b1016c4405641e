"""ds01 gpu release"""

from __future__ import annotations

from ds01.api.containers import ReleaseLease
from ds01.cli.command.definition import command as verb
from ds01.cli.gpu.options import container_option, resolve_record, show_lease
from ds01.cli.session import Session


@verb(example="ds01 gpu release --container my-thesis", guided=False)
@container_option
def command(session: Session, container: str) -> None:
    """Give back the lease of a stopped container, or a manual lease."""
    full = resolve_record(session, container)
    acted = session.run(ReleaseLease(full))
    for warning in acted.warnings:
        session.warn(warning)
    show_lease(session, acted)
