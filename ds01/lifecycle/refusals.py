"""A refusal as an error: the data whole, the code by whether waiting can help. The words are made in `cli`."""

from __future__ import annotations

from ds01.errors import Ds01Error, NoGpuFree, NotPossible, Refused
from ds01.gpus.model import Refusal, Rule
from ds01.system.data import to_json


def error_of(refusal: Refusal) -> Ds01Error:
    """The error that carries a refusal."""
    data = {"refusal": to_json(refusal)}
    if refusal.rule is Rule.LOST:
        return NotPossible("the GPU of this container is gone", data=data)
    kind = NoGpuFree if refusal.rule in (Rule.NONE_FREE, Rule.NO_GPUS) else Refused
    return kind(f"refused by {refusal.rule.value}", data=data)
