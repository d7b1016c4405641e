"""What alice does to her container, step by step for the tests of failing and of being killed; and others to theirs."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.api.refusals import refusal_of
from ds01.errors import Ds01Error
from ds01.gpus.model import Refusal
from tests.bed import Bed
from tests.client import Client

ALICE, BOB = "thesis._.70001", "thesis._.70002"


def create(gate: Client, bed: Bed) -> Any:
    return gate.create(bed.actor("alice"), bed.request("alice"))


def start(gate: Client, bed: Bed) -> Any:
    return gate.start(bed.actor("alice"), ALICE)


def stop(gate: Client, bed: Bed) -> Any:
    return gate.stop(bed.actor("alice"), ALICE)


def stop_and_release(gate: Client, bed: Bed) -> Any:
    return gate.stop(bed.actor("alice"), ALICE, release=True)


def remove(gate: Client, bed: Bed) -> Any:
    return gate.remove(bed.actor("alice"), ALICE, force=True)


def recreate(gate: Client, bed: Bed) -> Any:
    return gate.start(bed.actor("alice"), ALICE, recreate=True)


def remake(gate: Client, bed: Bed) -> Any:
    return gate.remake(bed.actor("alice"), ALICE)


def fill(bed: Bed, login: str, *, start: bool = False, **request: Any) -> str:
    """A container of somebody's, and its full name."""
    made = bed.gate.create(bed.actor(login), bed.request(login, **request)).container
    if start:
        bed.gate.start(bed.actor(login), made.container)
    return made.container


def refusal(error: pytest.ExceptionInfo[Ds01Error]) -> Refusal:
    found = refusal_of(error.value)
    assert found is not None
    return found


def stopped_with_slots_taken(bed: Bed) -> None:
    """alice's container is stopped, and bob has her two slots."""
    fill(bed, "alice", gpus=2, start=True)
    bed.gate.stop(bed.actor("alice"), ALICE, release=True)
    fill(bed, "bob", gpus=2, start=True)
    assert set(bed.leased().values()) == {BOB}
