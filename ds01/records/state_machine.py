"""The lifecycle of a container, declared once. README.md beside this file walks through it."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

from ds01.dataclass import dataclass
from ds01.errors import InvalidState

if TYPE_CHECKING:
    from transitions import Machine


class State(str, Enum):
    """Where a container is in its life."""

    CREATED = "created"  # exists, never ran
    RUNNING = "running"
    HELD = "held"  # stopped, keeps its lease
    STOPPED = "stopped"  # stopped, has no lease
    REMOVED = "removed"


class Trigger(str, Enum):
    """What changes a container's state."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    RELEASE = "release"
    REMOVE = "remove"
    VANISH = "vanish"


@dataclass(frozen=True)
class Transition:
    """One row of the table. `holds`: only with a lease that a hold keeps (True), or only without (False)."""

    trigger: Trigger
    source: State | None  # None: before the container exists
    target: State
    holds: bool | None = None


TRANSITIONS: tuple[Transition, ...] = (
    Transition(Trigger.CREATE, None, State.CREATED),
    Transition(Trigger.START, State.CREATED, State.RUNNING),
    Transition(Trigger.START, State.HELD, State.RUNNING),
    Transition(Trigger.START, State.STOPPED, State.RUNNING),
    Transition(Trigger.STOP, State.RUNNING, State.HELD, holds=True),
    Transition(Trigger.STOP, State.RUNNING, State.STOPPED, holds=False),
    Transition(Trigger.RELEASE, State.CREATED, State.STOPPED),
    Transition(Trigger.RELEASE, State.HELD, State.STOPPED),
    Transition(Trigger.REMOVE, State.CREATED, State.REMOVED),
    Transition(Trigger.REMOVE, State.HELD, State.REMOVED),
    Transition(Trigger.REMOVE, State.STOPPED, State.REMOVED),
    Transition(Trigger.VANISH, State.CREATED, State.REMOVED),
    Transition(Trigger.VANISH, State.RUNNING, State.REMOVED),
    Transition(Trigger.VANISH, State.HELD, State.REMOVED),
    Transition(Trigger.VANISH, State.STOPPED, State.REMOVED),
)

_NOT_CREATED = "none"  # the machine's name for the state before the container exists


def next_state(state: State | None, trigger: Trigger, *, holds: bool = False) -> State:
    """Return the state that `trigger` leads to. `holds`: it has a lease, and the hold is not zero.

    Raises InvalidState, which names the state and the legal triggers.
    """
    from transitions import MachineError

    life: Any = _TriggerModel(holds)
    machine = _machine()
    name = _NOT_CREATED if state is None else state.value
    machine.add_model(life, initial=name)
    try:
        life.trigger(trigger.value)
    except MachineError:
        choices = (item.value for item in possible_triggers(state) if item is not Trigger.VANISH)
        possible = ", ".join(choices) or "nothing"
        raise InvalidState(
            f"cannot {trigger.value} a container that is {name}", why=f"possible from {name}: {possible}"
        ) from None
    finally:
        machine.remove_model(life)
    return State(life.state)


def possible_triggers(state: State | None) -> tuple[Trigger, ...]:
    """Return the legal triggers of a state, in the order of the table."""
    return tuple(dict.fromkeys(row.trigger for row in TRANSITIONS if row.source == state))


class _TriggerModel:
    """The model whose state the machine changes."""

    def __init__(self, holds: bool) -> None:
        self._holds = holds

    def holds(self) -> bool:
        return self._holds


@cache
def _machine() -> Machine:
    from transitions import Machine

    machine = Machine(
        model=None,
        states=[_NOT_CREATED, *(state.value for state in State)],
        initial=_NOT_CREATED,
        auto_transitions=False,
    )
    for row in TRANSITIONS:
        machine.add_transition(
            row.trigger.value,
            _NOT_CREATED if row.source is None else row.source.value,
            row.target.value,
            conditions=["holds"] if row.holds is True else None,
            unless=["holds"] if row.holds is False else None,
        )
    return machine
