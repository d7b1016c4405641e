"""Events of commands: each refusal once, with its owner, and each pass that did something."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.command_line import CommandLine

POLICY = """\
defaults: {max_mig_instances: 1, max_gpus_per_container: 2, max_extension: 6h}
groups: {admins: {members: [boss], admin: true}}
mounts: {workspace: [], data: [], models: []}
"""


def events(ds: CommandLine, *kinds: str) -> list[dict[str, Any]]:
    path = ds.harness.state / "log" / "events.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [event for event in found if event["type"] in kinds]


def refusals(ds: CommandLine) -> list[tuple[str, str | None, str | None, str]]:
    return [
        (event["actor"], event["user"], event["container"], event["why"].partition(" may")[0])
        for event in events(ds, "refusal")
    ]


@pytest.fixture
def strict(ds: CommandLine) -> CommandLine:
    ds.harness.set_policy(POLICY)
    return ds


ALICES = ("alice", "alice", "thesis._.70001")


@pytest.mark.parametrize(
    ("words", "code", "event"),
    [
        (("container-create", "thesis", "any/image", "--gpus", "2"), 3, (*ALICES, "max_mig_instances")),
        (("container-deploy", "thesis", "any/image", "--gpus", "2", "--background"), 3, (*ALICES, "max_mig_instances")),
        (("container-create", "thesis", "any/image", "--gpus", "2", "--wait"), 3, (*ALICES, "max_mig_instances")),
        (("container-list", "--user", "bob"), 3, ("alice", "bob", None, "alice")),
        (("ds01", "emergency-stop", "bob"), 3, ("alice", None, None, "only administrators")),
    ],
)
def test_a_refusal_is_one_event(
    strict: CommandLine, words: tuple[str, ...], code: int, event: tuple[str | None, ...]
) -> None:
    strict.fails(code, *(words[1:] if words[0] == "ds01" else words))
    assert refusals(strict) == [event]


def test_one_that_is_only_asked_for_is_none(strict: CommandLine) -> None:
    strict.fails(3, "container-create", "thesis", "any/image", "--gpus", "2", "--dry-run")
    assert refusals(strict) == []


def test_a_refused_start_or_extension_names_owner_and_administrator(strict: CommandLine) -> None:
    strict.ok("container-deploy", "thesis", "any/image", "--background")
    strict.fails(3, "container-extend", "thesis", "7h", "--user", "alice", who="boss")
    strict.ok("container-stop", "thesis", "--release")
    strict.ok("container-deploy", "other", "any/image", "--background")
    strict.fails(3, "container-start", "thesis")
    extension, start = refusals(strict)
    assert extension[:3] == ("boss", "alice", "thesis._.70001")
    assert start == (*ALICES, "max_mig_instances")


def test_a_lease_by_hand_that_is_refused_is_its_owners(strict: CommandLine) -> None:
    strict.fails(3, "gpu", "allocate", "--user", "bob", "--container", "zz", "--max-gpus", "2", who="boss")
    assert refusals(strict) == [("boss", "bob", "zz._.70002", "max_mig_instances")]


def test_only_a_pass_that_did_something_is_an_event(strict: CommandLine) -> None:
    strict.ok("tick", who="root")
    assert events(strict, "tick") == []
    strict.ok("container-create", "thesis", "any/image")
    strict.harness.clock.advance(hours=1)
    strict.ok("tick", who="root")
    (event,) = events(strict, "tick")
    assert (event["acted"], event["errors"], event["why"]) == (1, 0, None)


def test_what_cannot_be_judged_is_said_with_the_exit_code_too(strict: CommandLine) -> None:
    strict.ok("container-deploy", "thesis", "any/image", "--background")
    strict.ok("tick", who="root")  # the first look at anything is no trouble
    strict.engine.set_usage("thesis._.70001", cpu_nanoseconds=None)
    for _ in range(2):
        strict.harness.clock.advance(minutes=5)
        answer = strict("tick", who="root")
        assert answer.code == 1 and "its CPU time cannot be read" in answer.out
    assert [event["unknown"] for event in events(strict, "tick")][-2:] == [1, 1]
