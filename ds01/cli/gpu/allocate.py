"""ds01 gpu allocate"""

from __future__ import annotations

import click

from ds01.api.server import AllocateGpus, GetGpuStatus
from ds01.cli.gpu.options import container as option_container
from ds01.cli.gpu.options import show
from ds01.cli.options import Whole, check_profile
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import counted
from ds01.errors import NotFound, WrongUse
from ds01.gpus.model import GpuRequest, GpuType
from ds01.policy.names import fold_name, split_container_name


@verb(example="ds01 gpu allocate --user alice --container reserve --max-gpus 1", guided=False)
@option_container
@click.option("--max-gpus", type=Whole(min=1), metavar="N", help="How many slots. Default: one.")
@click.option("--priority", type=Whole(1, 100), metavar="P", help="Default: the policy's.")
@click.option("--gpu", "slots", metavar="SLOT[,SLOT]", help="Exactly these slots, as 0:1.")
@click.option("--gpu-type", type=click.Choice([kind.value for kind in GpuType]), default="any")
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
    """Lease slots without a container (administrators). Only `ds01 gpu release` ends such a lease."""
    profile = check_profile(profile)
    full = split_container_name(container)
    try:
        name = full[0] if full else fold_name(container)[0]
    except ValueError as error:
        raise WrongUse(f"{container!r} is not a container name", why=str(error)) from None
    request = GpuRequest(max_gpus or 1, GpuType(gpu_type), profile)
    if slots is not None:
        uuids = _uuids(session, slots)
        if max_gpus not in (None, len(uuids)):
            raise WrongUse(f"--max-gpus {max_gpus} and {counted(len(uuids), 'slot')} in --gpu")
        request = GpuRequest(len(uuids), uuids=uuids)
    show(session, session.run(AllocateGpus(session.owner.uid, name, request, priority=priority)))


def _uuids(session: Session, slots: str) -> tuple[str, ...]:
    known = {row.slot: row.uuid for row in session.run(GetGpuStatus()).present}
    asked = [slot.strip() for slot in slots.split(",")]
    missing = [slot for slot in asked if slot not in known]
    if missing:
        raise NotFound(f"there is no slot {', '.join(missing)}", why=f"there are {', '.join(known) or 'none'}")
    return tuple(known[slot] for slot in asked)
