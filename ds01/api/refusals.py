"""A refusal as an error, with the refusal in its data. `cli` words it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from ds01.errors import Ds01Error, InvalidState, NoCapacity, PermissionDenied
from ds01.gpus.model import Refusal, Rule
from ds01.system.data import from_json

T = TypeVar("T")


@dataclass(frozen=True)
class Alternatives:
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


def error_of(refusal: Refusal, ways: Alternatives | None = None) -> Ds01Error:
    """Return the error of a refusal; its class says whether waiting can help. `ways`: what can be done instead."""
    data: dict[str, Any] = {"refusal": refusal}
    if ways is not None:
        data["ways"] = ways
    if refusal.rule is Rule.LOST:
        return InvalidState("the GPU of this container is gone", data=data, code=CODES[refusal.rule])
    kind = NoCapacity if refusal.rule in (Rule.NONE_FREE, Rule.NO_GPUS) else PermissionDenied
    return kind(f"refused by {refusal.rule.value}", data=data, code=CODES[refusal.rule])


def refusal_of(error: Ds01Error) -> Refusal | None:
    """Return the refusal in an error's data, which is JSON once it has crossed a socket; None if it has none."""
    return _typed(Refusal, error, "refusal")


def alternatives_of(error: Ds01Error) -> Alternatives | None:
    """Return what an error's data says can be done instead; None if it says nothing."""
    return _typed(Alternatives, error, "ways")


def _typed(kind: type[T], error: Ds01Error, key: str) -> T | None:
    value = (error.data or {}).get(key)
    return value if value is None or isinstance(value, kind) else from_json(kind, value)
