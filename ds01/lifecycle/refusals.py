"""A refusal as an error: the data whole, the code by whether waiting can help. The words are made in `cli`."""

from __future__ import annotations

from dataclasses import dataclass

from ds01.errors import Ds01Error, NoGpuFree, NotPossible, Refused
from ds01.gpus.model import Refusal, Rule
from ds01.system.data import to_json


@dataclass(frozen=True)
class WaysOut:
    """What helps a container that cannot have the slots which Docker fixed for it.

    `recreate`: made again from its request it would not be refused for good; `free`: nor now; `cpu_only`: it would
    then have no GPU. `gpus`: how many a new container could have, 0: none.
    """

    container: str
    recreate: bool
    free: bool
    cpu_only: bool
    gpus: int


CODES = {
    Rule.NO_GPUS: "gpu.not_offered",
    Rule.PER_CONTAINER: "quota.gpus_per_container",
    Rule.FULL_GPU: "policy.full_gpu",
    Rule.QUOTA: "quota.gpus",
    Rule.CONTAINERS: "quota.containers",
    Rule.NONE_FREE: "gpu.none_free",
    Rule.LOST: "gpu.lost",
}


def error_of(refusal: Refusal, ways: WaysOut | None = None) -> Ds01Error:
    """Return the error that carries a refusal, and the ways out of it if they are known."""
    data = {"refusal": to_json(refusal)}
    if ways is not None:
        data["ways"] = to_json(ways)
    if refusal.rule is Rule.LOST:
        return NotPossible("the GPU of this container is gone", data=data, code=CODES[refusal.rule])
    kind = NoGpuFree if refusal.rule in (Rule.NONE_FREE, Rule.NO_GPUS) else Refused
    return kind(f"refused by {refusal.rule.value}", data=data, code=CODES[refusal.rule])
