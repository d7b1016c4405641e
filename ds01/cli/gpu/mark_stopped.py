"""ds01 gpu mark-stopped"""

from __future__ import annotations

from ds01.api.containers import MarkContainer
from ds01.api.types import Trigger
from ds01.cli.command.definition import command as verb
from ds01.cli.gpu.options import container_option, resolve_record, show_lease
from ds01.cli.session import Session


@verb(example="ds01 gpu mark-stopped --container my-thesis", guided=False)
@container_option
def command(session: Session, container: str) -> None:
    """Record that a container was stopped; its lease is held. Refused if Docker says that it is running."""
    show_lease(session, session.run(MarkContainer(resolve_record(session, container), Trigger.STOP)))
