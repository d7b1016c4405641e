"""The result of one step in setting up a project or a user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from ds01.dataclass import dataclass


@dataclass(frozen=True)
class StepResult:
    """`made` is new, `kept` existed and is unchanged; `notes` are sentences for the user.

    `differing`: kept, with other content than ds01 would write.
    """

    made: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing had to be done."""
        return not self.made


def combine_steps(steps: Iterable[StepResult]) -> StepResult:
    """Combine several steps into one result, in order."""
    taken = tuple(steps)

    def all_of(name: str) -> tuple[str, ...]:
        return tuple(item for step in taken for item in getattr(step, name))

    return StepResult(*(all_of(field.name) for field in fields(StepResult)))
