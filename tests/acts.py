"""What alice does to her container, as the tests of failing and of being killed do it step by step."""

from __future__ import annotations

from typing import Any

from ds01.lifecycle.gate import Gate
from tests.bed import Bed

ALICE = "thesis._.70001"


def create(gate: Gate, bed: Bed) -> Any:
    return gate.create(bed.actor("alice"), bed.request("alice"))


def start(gate: Gate, bed: Bed) -> Any:
    return gate.start(bed.actor("alice"), ALICE)


def stop(gate: Gate, bed: Bed) -> Any:
    return gate.stop(bed.actor("alice"), ALICE)


def stop_and_release(gate: Gate, bed: Bed) -> Any:
    return gate.stop(bed.actor("alice"), ALICE, release=True)


def remove(gate: Gate, bed: Bed) -> Any:
    return gate.remove(bed.actor("alice"), ALICE, force=True)


def recreate(gate: Gate, bed: Bed) -> Any:
    return gate.start(bed.actor("alice"), ALICE, recreate=True)


def remake(gate: Gate, bed: Bed) -> Any:
    return gate.remake(bed.actor("alice"), ALICE)
