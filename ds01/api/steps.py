"""The steps of long operations."""

from __future__ import annotations

from ds01.api.answers import Acted
from ds01.api.operation import Step
from ds01.dataclass import dataclass
from ds01.engines.protocol import Progress
from ds01.gpus.model import Refusal
from ds01.policy.model import Limits


@dataclass(frozen=True)
class Saving:
    """Processes that received TERM and may still save their work, and the whole seconds they have left.

    0 seconds: the grace period is over, and they are killed.
    """

    processes: int
    seconds_left: int


@dataclass(frozen=True)
class Ending(Step[Acted]):
    """A step of a stop: processes that still save, or at last the outcome."""

    saving: Saving | None = None
    acted: Acted | None = None

    @property
    def outcome(self) -> Acted | None:
        return self.acted


@dataclass(frozen=True)
class Waiting:
    """A waiter's position in the queue, from 1, and why it waits."""

    id: str
    position: int
    refusal: Refusal


@dataclass(frozen=True)
class StartStep(Step[Acted]):
    """A step of a start: a new position in the queue, or at last the outcome."""

    waiting: Waiting | None = None
    acted: Acted | None = None

    @property
    def outcome(self) -> Acted | None:
        return self.acted


@dataclass(frozen=True)
class CreateStep(Step[Acted]):
    """A step of a create; the fields are those of its stage.

    `fetching` an image (`progress`), `creating`, `waiting` in the queue, `created` and `started` (`acted`).
    `note`: why the container has no GPU although CPU only was not requested: `no_gpus`, `quota_zero`. `limits`: the
    container's.
    """

    stage: str
    progress: Progress | None = None
    waiting: Waiting | None = None
    acted: Acted | None = None
    note: str | None = None
    limits: Limits | None = None

    @property
    def outcome(self) -> Acted | None:
        return self.acted
