"""The state machine: every trigger from every state, and the page that describes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ds01.errors import InvalidState
from ds01.records.state_machine import TRANSITIONS, State, Trigger, next_state, possible_triggers

C, R, H, S, X = State.CREATED, State.RUNNING, State.HELD, State.STOPPED, State.REMOVED

# What DESIGN says, written down a second time: (state, trigger) -> the next state without and with a hold.
EXPECTED: dict[tuple[State | None, Trigger], tuple[State, State]] = {
    (None, Trigger.CREATE): (C, C),
    (C, Trigger.START): (R, R),
    (H, Trigger.START): (R, R),
    (S, Trigger.START): (R, R),
    (R, Trigger.STOP): (S, H),
    (C, Trigger.RELEASE): (S, S),
    (H, Trigger.RELEASE): (S, S),
    (C, Trigger.REMOVE): (X, X),
    (H, Trigger.REMOVE): (X, X),
    (S, Trigger.REMOVE): (X, X),
    (C, Trigger.VANISH): (X, X),
    (R, Trigger.VANISH): (X, X),
    (H, Trigger.VANISH): (X, X),
    (S, Trigger.VANISH): (X, X),
}
PAGE = Path(__file__).parents[3] / "docs" / "life-of-a-container.md"


@pytest.mark.parametrize("holds", [False, True])
@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("state", [None, *State])
def test_every_transition_is_the_designs(state: State | None, trigger: Trigger, holds: bool) -> None:
    if (state, trigger) in EXPECTED:
        assert next_state(state, trigger, holds=holds) is EXPECTED[state, trigger][holds]
        assert trigger in possible_triggers(state)
        return
    assert trigger not in possible_triggers(state)
    with pytest.raises(InvalidState) as caught:
        next_state(state, trigger, holds=holds)
    assert caught.value.exit_code == 6
    assert (state.value if state else "none") in caught.value.message
    typed = [
        possible for possible in possible_triggers(state) if possible is not Trigger.VANISH
    ]  # nobody can vanish one
    assert all(possible.value in (caught.value.why or "") for possible in typed)


def test_nothing_is_possible_from_removed() -> None:
    assert possible_triggers(State.REMOVED) == ()


def test_the_table_in_the_readme_is_the_machines() -> None:
    rows = set()
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0].strip("`") in {trigger.value for trigger in Trigger}:
            words = [re.findall(r"`([a-z]+)`", cell) for cell in cells[:3]]
            condition = {"lease and hold": True, "no lease or no hold": False}.get(cells[3].partition(":")[0])
            rows.add((words[0][0], words[1][0] if words[1] else None, words[2][0], condition))
    assert rows == {
        (row.trigger.value, row.source.value if row.source else None, row.target.value, row.holds)
        for row in TRANSITIONS
    }


def test_the_readme_names_every_state() -> None:
    text = PAGE.read_text("utf-8")
    assert all(f"`{state.value}`" in text for state in State)
