"""ds01 gpu allocate"""

from __future__ import annotations

import click

from ds01.api.server import AllocateGpus, GetGpuStatus
from ds01.cli.command.definition import BoundedInteger, parse_profile
from ds01.cli.command.definition import command as verb
from ds01.cli.gpu.options import container_option, show_lease
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_count
from ds01.errors import NotFound, UsageError
from ds01.gpus.model import GpuRequest, GpuType
from ds01.policy.names import fold_name, split_container_name


@verb(example="ds01 gpu allocate --user alice --container reserve --max-gpus 1", guided=False)
@container_option
@click.option("--max-gpus", type=BoundedInteger(min=1), metavar="N", help="How many slots. Default: one.")
@click.option("--priority", type=BoundedInteger(1, 100), metavar="P", help="The priority. Default: the policy's.")
@click.option("--gpu", "slots", metavar="SLOT[,SLOT]", help="Exactly these slots, such as 0:1.")
@click.option(
    "--gpu-type", type=click.Choice([kind.value for kind in GpuType]), default="any", help="Which kind. Default: any."
)
@click.option("--profile", metavar="PROFILE", help="MIG instances of this profile.")
def command(
    session: Session,
    container: str,
    max_gpus: int | None,
    priority: int | None,
    slots: str | None,
    gpu_type: str,
    profile: str | None,
) -> None:
    """Lease slots without a container (administrators). Only `ds01 gpu release` ends such a manual lease."""
    profile = parse_profile(profile)
    full = split_container_name(container)
    try:
        name = full[0] if full else fold_name(container)[0]
    except ValueError as error:
        raise UsageError(f"invalid container name {container!r}", why=str(error)) from None
    request = GpuRequest(max_gpus or 1, GpuType(gpu_type), profile)
    if slots is not None:
        uuids = _parse_slots(session, slots)
        if max_gpus not in (None, len(uuids)):
            raise UsageError(f"--max-gpus is {max_gpus}, but --gpu names {format_count(len(uuids), 'slot')}")
        request = GpuRequest(len(uuids), uuids=uuids)
    show_lease(session, session.run(AllocateGpus(session.owner.uid, name, request, priority=priority)))


def _parse_slots(session: Session, slots: str) -> tuple[str, ...]:
    uuid_by_slot = {row.slot: row.uuid for row in session.run(GetGpuStatus()).present}
    names = [slot.strip() for slot in slots.split(",")]
    missing = [slot for slot in names if slot not in uuid_by_slot]
    if missing:
        raise NotFound(
            f"there is no slot {', '.join(missing)}", why=f"the slots are {', '.join(uuid_by_slot) or 'none'}"
        )
    return tuple(uuid_by_slot[slot] for slot in names)
