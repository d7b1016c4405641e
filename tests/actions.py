"""Single actions of alice and others on their containers, for tests that fail or kill at each step."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.api.refusals import refusal_of
from ds01.errors import Ds01Error
from ds01.gpus.model import Refusal
from tests.client import Client
from tests.harness import Harness

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


def create(gate: Client, harness: Harness) -> Any:
    return gate.create(harness.actor("alice"), harness.request("alice"))


def start(gate: Client, harness: Harness) -> Any:
    return gate.start(harness.actor("alice"), ALICE_THESIS)


def stop(gate: Client, harness: Harness) -> Any:
    return gate.stop(harness.actor("alice"), ALICE_THESIS)


def stop_and_release(gate: Client, harness: Harness) -> Any:
    return gate.stop(harness.actor("alice"), ALICE_THESIS, release=True)


def remove(gate: Client, harness: Harness) -> Any:
    return gate.remove(harness.actor("alice"), ALICE_THESIS, force=True)


def recreate(gate: Client, harness: Harness) -> Any:
    return gate.start(harness.actor("alice"), ALICE_THESIS, recreate=True)


def remake(gate: Client, harness: Harness) -> Any:
    return gate.remake(harness.actor("alice"), ALICE_THESIS)


def create_container(harness: Harness, login: str, *, start: bool = False, **request: Any) -> str:
    """Return a user's container and its full name."""
    made = harness.gate.create(harness.actor(login), harness.request(login, **request)).container
    if start:
        harness.gate.start(harness.actor(login), made.container)
    return made.container


def refusal_in(error: pytest.ExceptionInfo[Ds01Error]) -> Refusal:
    found = refusal_of(error.value)
    assert found is not None
    return found


def stop_and_take_slots(harness: Harness) -> None:
    """Stop alice's container, and lease her two slots to bob."""
    create_container(harness, "alice", gpus=2, start=True)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS, release=True)
    create_container(harness, "bob", gpus=2, start=True)
    assert set(harness.leased().values()) == {BOB_THESIS}
