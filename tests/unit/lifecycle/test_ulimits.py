"""A ulimit of the policy that the machine cannot grant."""

from __future__ import annotations

import pytest

from ds01.engines.engine_errors import refused_ulimit
from ds01.errors import EngineRejected
from ds01.records.state_machine import State
from tests.actions import ALICE_THESIS, create_container
from tests.harness import Harness

REFUSED = "defaults: {ulimits: {memlock: -1, nofile: 4096}}\n"
MENDED = "defaults: {ulimits: {memlock: null, nofile: 4096}}\n"


@pytest.fixture
def weak(harness: Harness) -> Harness:
    harness.set_policy(REFUSED)
    harness.engine.set_hard_limits({"memlock": 65536, "nofile": 20000})
    return harness


def test_the_start_names_the_key_and_gives_the_gpu_back(weak: Harness) -> None:
    create_container(weak, "alice")
    with pytest.raises(EngineRejected) as error:
        weak.another_gate().start(weak.actor("alice"), ALICE_THESIS)
    assert "memlock" in error.value.message
    assert "ulimits: {memlock: -1}" in (error.value.why or "")
    assert "ulimits" in (error.value.hint or "") and "container-start thesis --recreate" in (error.value.hint or "")
    assert weak.leased() == {}
    assert weak.record("alice").state is State.STOPPED


def test_recreate_applies_a_corrected_policy(weak: Harness) -> None:
    create_container(weak, "alice")
    alice = weak.actor("alice")
    with pytest.raises(EngineRejected):
        weak.gate.start(alice, ALICE_THESIS)
    weak.set_policy(MENDED)
    with pytest.raises(EngineRejected) as error:
        weak.gate.start(alice, ALICE_THESIS)
    assert "ulimits: {memlock: -1}" in (error.value.why or "")
    assert "--recreate" in (error.value.hint or "") and "another memlock now" in (error.value.hint or "")
    assert weak.leased() == {}
    assert weak.gate.start(alice, ALICE_THESIS, recreate=True).container.state == "running"


def test_one_that_was_held_keeps_its_hold(harness: Harness) -> None:
    harness.set_policy(REFUSED)
    create_container(harness, "alice", start=True)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    harness.engine.set_hard_limits({"memlock": 65536})
    before = harness.record("alice").lease
    with pytest.raises(EngineRejected):
        harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    assert harness.record("alice").lease == before and harness.record("alice").state is State.HELD


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("error setting rlimits for ready process: error setting rlimit type 8: operation not permitted", "memlock"),
        ("error setting rlimit type 7: operation not permitted: unknown", "nofile"),
        ("crun: setrlimit `RLIMIT_MEMLOCK`: Operation not permitted: OCI permission denied", "memlock"),
        ("error setting rlimit type 99: operation not permitted", "unknown"),
        ("port is already allocated", None),
    ],
)
def test_the_words_of_the_runtimes_are_understood(words: str, name: str | None) -> None:
    assert refused_ulimit(words) == name
