"""ds01 gpu status"""

from __future__ import annotations

from datetime import datetime

from ds01.api.answers import GpuStatus
from ds01.api.server import GetGpuStatus
from ds01.api.types import SlotState
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import describe_reservation, format_holder, format_local_time, format_size
from ds01.gpus.slot_names import display_name


@verb(example="ds01 gpu status", guided=False, user=False)
def command(session: Session) -> None:
    """Show all GPUs and MIG instances, and who has them until when."""
    status = session.run(GetGpuStatus())
    session.write_document({"slots": [slot_document(row) for row in status.slots], "driver": status.driver})
    if session.as_json:
        return
    if not status.slots:
        session.say("This server offers no GPU.")
    else:
        models = {gpu.index: gpu.model for gpu in status.gpus}
        rows = [_row(row, models, session.now()) for row in status.slots]
        tables.print_table(("SLOT", "KIND", "MEMORY", "STATE", "WHO", "UNTIL", "WHY"), rows)
    for item in status.reservations:
        session.say(f"Reserved: {describe_reservation(item, session.now())}")
    _summary(session, status)


def slot_document(row: SlotState) -> dict[str, object]:
    """Return a slot as JSON, with the keys that scripts rely on."""
    return {key: value for key, value in vars(row).items() if key != "until"}


def _row(row: SlotState, models: dict[int, str], at: datetime) -> tuple[str, ...]:
    kind = row.profile or models.get(row.gpu, "full")
    until = format_local_time(row.until, at) if row.until else "–"
    return (
        display_name(row),
        kind,
        format_size(row.memory_bytes),
        row.state,
        format_holder(row.user, row.container),
        until,
        row.why or "",
    )


def _summary(session: Session, status: GpuStatus) -> None:
    free = sum(row.state == "free" for row in status.slots)
    session.say(f"{free} of {len(status.present)} free; driver {status.driver}")
