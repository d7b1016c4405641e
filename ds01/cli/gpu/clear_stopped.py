"""ds01 gpu clear-stopped"""

from __future__ import annotations

from ds01.api.containers import MarkContainer
from ds01.cli.gpu.options import container as option_container
from ds01.cli.gpu.options import named, show
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.records.machine import Trigger


@verb(example="ds01 gpu clear-stopped --container my-thesis", guided=False)
@option_container
def command(session: Session, container: str) -> None:
    """Record that a container runs again. Refused if Docker says that it does not."""
    show(session, session.run(MarkContainer(named(session, container), Trigger.START)))
