"""What the tick keeps: the policy as it was parsed, and the last members of an emptied group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ds01.automation.tick import Tick
from tests.command_line import CommandLine, prepare_home_directories

POLICY = """\
defaults: {max_mig_instances: 2, idle_timeout: null, gpu_hold_after_stop: 1h}
groups:
  researchers: {gpu_hold_after_stop: 72h}
  admins: {members: [boss], admin: true}
mounts: {workspace: [], data: [], models: []}
"""
BROKEN = "defaults: {idle_timeout: 1}\n"


@pytest.fixture
def held(ds: CommandLine) -> CommandLine:
    """Alice is a researcher by the file of members; her container holds its GPU for 72 hours."""
    harness = ds.harness
    harness.set_policy(POLICY)
    prepare_home_directories(harness)
    members(ds).parent.mkdir()
    members(ds).write_text("alice\n# nobody else\n")
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    ds.ok("container-stop", "thesis")
    ds.ok("tick", who="root")
    return ds


def members(ds: CommandLine) -> Path:
    return ds.harness.root / "groups" / "researchers.members"


def policy_file(ds: CommandLine) -> Path:
    return ds.harness.root / "resource-limits.yaml"


@pytest.mark.in_process("writes in the middle of a pass")
def test_a_policy_that_is_saved_broken_during_a_tick_is_not_kept(
    held: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Tick.run

    def editing(tick: Tick) -> Any:
        policy_file(held).write_text(BROKEN)
        members(held).write_text("alice bob\n")
        return run(tick)

    with monkeypatch.context() as patch:
        patch.setattr(Tick, "run", editing)
        held.ok("tick", who="root")
    answer = held("tick", "--json", who="root")
    assert [item["action"] for item in answer.json["errors"]] == ["policy"]
    assert answer.json["looked_at"] == 1
    assert "No container is running" in held.ok("emergency-stop", "--all", "-y", who="root")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("content", ["", "\n", "# alice\n"])
def test_the_last_members_of_an_emptied_file_count_for_a_day(held: CommandLine, content: str) -> None:
    members(held).write_text(content)
    for hours in (2, 10, 11):
        held.harness.clock.advance(hours=hours)
        answer = held("tick", "--json", who="root")
        assert answer.code == 1
        assert [item["action"] for item in answer.json["unknown"]] == ["members"]
        assert "the last 1 member of researchers" in answer.json["unknown"][0]["why"]
        assert held.state() == "held"
        assert held("limits", "alice", "--json", who="root").json["group"] == "researchers"
    warning = [
        item for item in held("doctor", "--json", who="root").json["findings"] if item["check"] == "policy-members"
    ]
    assert [item["level"] for item in warning] == ["warning"]
    assert "was emptied" in held("policy", "check", who="root").err
    held.harness.clock.advance(hours=4)
    held("tick", who="root")
    assert held.ok("tick", who="root")
    assert held.state() == "stopped"
    assert held("limits", "alice", "--json", who="root").json["group"] == "default"


def test_a_file_that_is_written_again_counts_at_once(held: CommandLine) -> None:
    members(held).write_text("")
    held.harness.clock.advance(hours=2)
    held("tick", who="root")
    members(held).write_text("alice\nbob\n")
    held.harness.clock.advance(hours=40)
    held.ok("tick", who="root")
    assert held.state() == "held"
    assert held("limits", "bob", "--json", who="root").json["group"] == "researchers"
    members(held).write_text("")
    held.harness.clock.advance(hours=2)
    held("tick", who="root")
    assert held.state() == "held"  # the day begins anew


def test_a_file_that_is_deleted_means_what_it_says(held: CommandLine) -> None:
    members(held).unlink()
    held.harness.clock.advance(hours=2)
    held.ok("tick", who="root")
    assert held.state() == "held"  # its owner is told first that the hold is shorter now
    held.ok("tick", who="root")
    assert held.state() == "stopped"


def test_a_file_that_was_always_empty_is_no_reason_to_warn(held: CommandLine) -> None:
    (members(held).parent / "admins.members").write_text("")
    held.ok("tick", who="root")
    held.ok("tick", who="root")
