"""ds01 gpu validate"""

from __future__ import annotations

from collections.abc import Sequence

import click

from ds01.api.containers import ListContainers
from ds01.api.server import GetGpuStatus
from ds01.api.views import SlotView
from ds01.cli.gpu.options import container as option_container
from ds01.cli.gpu.options import named
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import short
from ds01.errors import NotPossible
from ds01.gpus.slot_names import display_names, original_name
from ds01.placement.allocation_input import SlotState


@verb(example="ds01 gpu validate --container my-thesis", guided=False)
@option_container
@click.option("--gpu", "slot", metavar="SLOT", help="Only this slot of it.")
def command(session: Session, container: str, slot: str | None) -> None:
    """Check that the GPUs of a container are still there. Exit code 6 if not."""
    full = named(session, container)
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    view = next((view for view in views if view.container == full), None)  # none: a lease that was made by hand
    rows = session.run(GetGpuStatus()).slots
    fixed: Sequence[SlotView | SlotState] = view.gpus_fixed if view else [row for row in rows if row.container == full]
    wanted = [item for item in fixed if slot in (None, item.slot, item.was)]
    if slot is not None and not wanted:
        raise NotPossible(f"{short(full)} has no GPU {slot}")
    there = {row.uuid for row in rows if not row.lost}
    silent = [row for row in rows if row.lost and row.slot != row.uuid and row.uuid in {item.uuid for item in wanted}]
    if silent:
        raise NotPossible(
            f"GPU {display_names(silent)} of {short(full)} does not answer",
            hint="`ds01 gpu status` says what is wrong with it",
        )
    gone = [item for item in wanted if item.uuid not in there]
    if gone:
        raise NotPossible(
            f"GPU {', '.join(map(original_name, gone))} of {short(full)} is gone",
            hint=f"`container-retire {short(full)}`, then `container-deploy {short(full)}`, makes it again",
        )
    session.answer({"container": view, "gone": []})
    gpus = f"GPU {display_names(wanted)} is there" if wanted else "it has no GPU"
    session.say(f"{short(full)}: {gpus}")
