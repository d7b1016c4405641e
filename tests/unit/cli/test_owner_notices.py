"""Owners get a notice of what an administrator does to their containers, with any command."""

from __future__ import annotations

import pytest

from tests.command_line import CommandLine

FULL = "t._.70001"


@pytest.fixture
def running(ds: CommandLine) -> CommandLine:
    ds.ok("container-deploy", "t", "pytorch")
    return ds


def notices(ds: CommandLine) -> str:
    """What the owner reads after the next tick, which delivers what an administrator who is not root has left."""
    ds("tick", who="root")
    return ds.ok("notices")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("container-stop", FULL), "t was stopped by boss."),
        (("mlc-stop", FULL), "t was stopped by boss."),
        (("container-pause", FULL), "t was paused by boss."),
        (("container-retire", FULL), "t was removed by boss."),
        (("emergency-stop", "alice", "-y"), "t was stopped at once by boss."),
    ],
)
def test_of_a_running_container(words: tuple[str, ...], told: str, running: CommandLine) -> None:
    running.ok(*words, who="boss")
    assert told in notices(running)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("container-remove", FULL), "t was removed by boss."),
        (("mlc-remove", FULL), "t was removed by boss."),
        (("gpu", "release", "--container", FULL), "The GPU of t was released by boss."),
    ],
)
def test_of_a_stopped_container(words: tuple[str, ...], told: str, running: CommandLine) -> None:
    running.ok("container-stop", "t")
    running.ok(*words, who="boss")
    assert told in notices(running)


def test_of_a_lease_by_hand(ds: CommandLine) -> None:
    ds.ok("gpu", "allocate", "--container", "z", "--user", "alice", who="boss")
    ds.ok("gpu", "release", "--container", "z", "--user", "alice", who="boss")
    told = notices(ds)
    assert "The GPU of z was released by boss." in told and "container-start" not in told


def test_nobody_is_told_what_they_did_themselves(running: CommandLine) -> None:
    for words in (("mlc-stop", "t"), ("gpu", "release", "--container", "t"), ("mlc-remove", "t")):
        running.ok(*words)
    assert notices(running) == ""


def test_a_hold_is_said_to_be_the_owners(running: CommandLine) -> None:
    said = running.ok("mlc-stop", FULL, who="boss")
    assert "is held for alice" in said and "`container-stop t --release --user 70001`" in said
