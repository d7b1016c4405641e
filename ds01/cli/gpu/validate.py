"""ds01 gpu validate"""

from __future__ import annotations

from collections.abc import Sequence

import click

from ds01.api.listing import ListContainers
from ds01.api.server import GetGpuStatus
from ds01.api.types import SlotState
from ds01.api.views import SlotView
from ds01.cli.command.definition import command as verb
from ds01.cli.gpu.options import container_option, resolve_record
from ds01.cli.session import Session
from ds01.cli.ui.formats import short_name
from ds01.errors import InvalidState
from ds01.gpus.slot_names import display_names, original_name


@verb(example="ds01 gpu validate --container my-thesis", guided=False)
@container_option
@click.option("--gpu", "slot", metavar="SLOT", help="Check only this slot of it.")
def command(session: Session, container: str, slot: str | None) -> None:
    """Check that the server still has the GPUs of a container. Exit code 6 if not."""
    full = resolve_record(session, container)
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    view = next((view for view in views if view.container == full), None)  # None: a manual lease
    rows = session.run(GetGpuStatus()).slots
    fixed: Sequence[SlotView | SlotState] = view.gpus_fixed if view else [row for row in rows if row.container == full]
    wanted = [item for item in fixed if slot in (None, item.slot, item.was)]
    if slot is not None and not wanted:
        raise InvalidState(f"{short_name(full)} has no GPU {slot}", why=f"it has {display_names(fixed) or 'none'}")
    present = {row.uuid for row in rows if not row.lost}
    not_answering = [
        row for row in rows if row.lost and row.slot != row.uuid and row.uuid in {item.uuid for item in wanted}
    ]
    if not_answering:
        raise InvalidState(
            f"GPU {display_names(not_answering)} of {short_name(full)} does not answer",
            hint="`ds01 gpu status` says what is wrong with it",
        )
    gone = [item for item in wanted if item.uuid not in present]
    if gone:
        raise InvalidState(
            f"GPU {', '.join(map(original_name, gone))} of {short_name(full)} is gone",
            hint=f"`container-retire {short_name(full)}`, then `container-deploy {short_name(full)}`, creates it again",
        )
    session.write_document({"container": view, "gone": []})
    gpus = f"GPU {display_names(wanted)} is present" if wanted else "it has no GPU"
    session.say(f"{short_name(full)}: {gpus}")
