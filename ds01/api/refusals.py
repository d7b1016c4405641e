"""Turn refusals into errors and back. The refusal is in the error's data; `cli` writes the message."""

from __future__ import annotations

from typing import Any, TypeVar

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, InvalidState, NoCapacity, PermissionDenied
from ds01.gpus.model import Refusal, Rule
from ds01.system.data import from_json

T = TypeVar("T")


@dataclass(frozen=True)
class Alternatives:
    """Alternatives for a container that cannot get the slots that Docker fixed for it.

    `recreate`: creating it again would succeed now (`free`) or later. `cpu_only`: it would then have no GPU. `gpus`:
    how many slots a new container could have; 0: none.
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


def error_of(refusal: Refusal, ways: Alternatives | None = None) -> Ds01Error:
    """Return the error for a refusal: NoCapacity if the server lacks GPUs. `ways`: the alternatives."""
    data: dict[str, Any] = {"refusal": refusal}
    if ways is not None:
        data["ways"] = ways
    if refusal.rule is Rule.LOST:
        return InvalidState("the GPU of this container is gone", data=data, code=CODES[refusal.rule])
    kind = NoCapacity if refusal.rule in (Rule.NONE_FREE, Rule.NO_GPUS) else PermissionDenied
    return kind(f"refused by {refusal.rule.value}", data=data, code=CODES[refusal.rule])


def refusal_of(error: Ds01Error) -> Refusal | None:
    """Return the refusal in an error's data, or None. The data is JSON if the error came over a socket."""
    return _typed(Refusal, error, "refusal")


def alternatives_of(error: Ds01Error) -> Alternatives | None:
    """Return the alternatives in an error's data, or None."""
    return _typed(Alternatives, error, "ways")


def _typed(kind: type[T], error: Ds01Error, key: str) -> T | None:
    value = (error.data or {}).get(key)
    return value if value is None or isinstance(value, kind) else from_json(kind, value)
