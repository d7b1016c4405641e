"""ds01 gpu release"""

from __future__ import annotations

from ds01.cli.gpu.options import container as option_container
from ds01.cli.gpu.options import named, show
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.telling import record_of, tell_owner


@verb(example="ds01 gpu release --container my-thesis", guided=False)
@option_container
def command(session: Session, container: str) -> None:
    """Give a lease back: of a stopped container, or one that was made by hand."""
    full = named(session, container)
    record = record_of(session, full)
    acted = session.gate.release(session.actor, full)
    if not acted.already and record is not None:
        command = None if acted.container.is_manual else "container-start"
        tell_owner(session, record, "released", command, subject=f"The GPU of {record.name}")
    show(session, acted)
