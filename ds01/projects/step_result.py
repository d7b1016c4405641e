"""What one step of setting up a project, or a person, did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class StepResult:
    """`made` is what is new, `kept` what was there and stays as it was; `notes` are sentences for people.

    `differing`: what was kept and says something else than ds01 would write.
    """

    made: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """Whether there was nothing to do."""
        return not self.made


def combine_steps(steps: Iterable[StepResult]) -> StepResult:
    """Several steps as one, in their order."""
    taken = tuple(steps)

    def all_of(name: str) -> tuple[str, ...]:
        return tuple(item for step in taken for item in getattr(step, name))

    return StepResult(*(all_of(field.name) for field in fields(StepResult)))
