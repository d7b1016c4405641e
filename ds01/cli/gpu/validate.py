"""ds01 gpu validate"""

from __future__ import annotations

import click

from ds01.cli.gpu.options import container as option_container
from ds01.cli.gpu.options import named
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.errors import NotPossible


@verb(example="ds01 gpu validate --container my-thesis", guided=False)
@option_container
@click.option("--gpu", "slot", metavar="SLOT", help="Only this slot of it.")
def command(session: Session, container: str, slot: str | None) -> None:
    """Check that the GPUs of a container are still there. Exit code 6 if not."""
    full = named(session, container)
    views = session.gate.containers(session.actor, owner=session.owner.uid)
    (view,) = (view for view in views if view.container == full)
    wanted = [item for item in view.gpus_fixed if slot in (None, item.slot)]
    there = {row.uuid for row in session.gate.gpus(session.actor).slots if row.why is None or "lost" not in row.why}
    gone = [item.slot for item in wanted if item.uuid not in there]
    session.answer({"container": view, "gone": gone})
    if gone or (slot is not None and not wanted):
        raise NotPossible(
            f"GPU {', '.join(gone) or slot} of {view.name} is gone" if gone else f"{view.name} has no GPU {slot}",
            hint=f"container-start {view.name} --recreate makes it anew on another one",
        )
    session.say(f"{view.name}: {', '.join(item.slot for item in wanted) or 'no GPU'}, all there")
