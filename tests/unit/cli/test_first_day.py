"""What users see on the first day: correct announcements, containers created again, expected output."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.command_line import CommandLine
from tests.harness import NOON

SHORT = "defaults: {max_mig_instances: 2, max_gpus_per_container: 2, container_hold_after_stop: 2h}\n"
ENDS = NOON + timedelta(hours=2)


@pytest.fixture
def short(ds: CommandLine) -> CommandLine:
    """A server where stopped containers are removed before their hold would end, and alice has one."""
    ds.harness.set_policy(SHORT)
    ds.ok("container-deploy", "one", "pytorch")
    return ds


# the hold


def test_a_stop_promises_no_more_than_the_removal_leaves(short: CommandLine) -> None:
    assert "(2h left)" in short.ok("container-stop", "one")
    assert short.harness.record("alice", "one").held_until == ENDS
    (view,) = short("container-list", "--json").json["containers"]
    assert view["held_until"] == view["deadline"]["at"] == "2026-11-30T14:00:00Z"


def test_gpu_status_and_refusals_name_the_removal_too(short: CommandLine) -> None:
    short.ok("container-stop", "one")
    assert "14:00" in short.ok("gpu", "status")
    short.harness.set_policy(SHORT.replace("max_mig_instances: 2", "max_mig_instances: 9"))
    for number in range(3):
        short.ok("gpu", "allocate", "--container", f"rest{number}", "--user", "carol", who="root")
    assert "free by 14:00" in short.fails(4, "container-create", "x", "pytorch", who="bob")


def test_a_container_that_is_kept_has_its_whole_hold(short: CommandLine) -> None:
    assert "(1d left)" in short.ok("container-stop", "one", "--keep-container")


def test_a_stopped_container_can_be_kept_still(short: CommandLine) -> None:
    short.ok("container-stop", "one")
    assert "It is kept" in short.ok("container-stop", "one", "--keep-container")
    record = short.harness.record("alice", "one")
    assert record.keep and record.held_until == NOON + timedelta(hours=24)
    assert short("container-list", "--json").json["containers"][0]["deadline"]["because"] == "hold"


# made again


def test_retire_then_deploy_makes_it_again(ds: CommandLine) -> None:
    ds.ok("container-deploy", "t", "pytorch", "--gpus", "2", "-p", "5000")
    image = ds.harness.record("alice", "t").image
    ds.ok("container-retire", "t")
    assert f"Creating t again from {image}, with its former options" in ds.ok("container-deploy", "t")
    record = ds.harness.record("alice", "t")
    assert record.image == image and len(record.slots) == 2 and record.request is not None
    assert "GPUs 1:0 (2g.10gb), 1:1 (2g.10gb) are held" in ds.ok("container-stop", "t")
    assert [port.container_port for port in record.request.ports or ()] == [5000]


def test_a_given_image_ignores_the_former_options(ds: CommandLine) -> None:
    ds.ok("container-deploy", "t", "pytorch", "--gpus", "2")
    ds.ok("container-retire", "t")
    assert "again" not in ds.ok("container-deploy", "t", "any/image")
    assert len(ds.harness.record("alice", "t").slots) == 1


def test_gpu_options_override_the_former_ones(ds: CommandLine) -> None:
    ds.ok("container-deploy", "t", "pytorch", "--gpus", "2")
    ds.ok("container-retire", "t")
    ds.ok("container-deploy", "t", "--cpu-only")
    assert ds.harness.record("alice", "t").slots == ()


def test_anothers_removed_container_is_not_made_again(ds: CommandLine) -> None:
    ds.ok("container-deploy", "t", "pytorch")
    ds.ok("container-retire", "t")
    assert "no image was named" in ds.fails(5, "container-deploy", "t", who="bob")


@pytest.mark.parametrize("verb", ["container-deploy", "container-create"])
@pytest.mark.parametrize("stop", [True, False])
def test_a_name_that_is_taken_is_said_before_an_image_is_asked_for(verb: str, stop: bool, ds: CommandLine) -> None:
    ds.ok("container-deploy", "t", "any/image")
    if stop:
        ds.ok("container-stop", "t", "--release")
    error = ds.error(verb, "t")
    assert (error["exit"], error["code"]) == (6, "name.taken")


def test_a_container_that_was_replaced_is_not_taken_for_a_removed_one(ds: CommandLine) -> None:
    ds.ok("container-deploy", "t", "pytorch")
    ds.ok("container-stop", "t")
    ds.ok("container-start", "t", "--recreate")
    answer = ds("container-deploy", "t")
    assert answer.code == 6 and "again" not in answer.out + answer.err


@pytest.mark.parametrize("words", [("container-create", "t", "pytorch"), ("container-deploy", "t")])
def test_a_name_taken_by_hand_names_the_command_that_frees_it(words: tuple[str, ...], ds: CommandLine) -> None:
    ds.ok("gpu", "allocate", "--container", "t", "--user", "alice", who="root")
    error = ds.error(*words)
    assert (error["exit"], error["code"]) == (6, "name.taken") and "`ds01 gpu release --container t`" in error["hint"]


def test_image_means_the_users_own_image_first(ds: CommandLine) -> None:
    ds.ok("image-create", "vision", "--framework", "pytorch", who="root")
    ds.ok("container-create", "v", "--image", "vision", who="root")
    assert ds.harness.record("root", "v").image == "ds01-0/vision"


def test_a_workspace_elsewhere_that_cannot_be_made_advises_another_place(ds: CommandLine) -> None:
    error = ds.fails(1, "container-create", "t", "pytorch", "-w", "/proc/nowhere/ws")
    assert "user add" not in error and "in which alice may write" in error


# answers


def test_stats_of_two_slots_have_a_line_for_each(ds: CommandLine) -> None:
    ds.ok("container-deploy", "two", "pytorch", "--gpus", "2")
    shown = ds.ok("container-stats")
    assert "\ufffd" not in shown and [line.split()[1] for line in shown.splitlines()[-2:]] == ["1:0", "1:1"]


@pytest.mark.parametrize("words", [("limits",), ("limits", "--docker-args"), ("limits", "--json")])
def test_limits_need_no_docker(words: tuple[str, ...], ds: CommandLine) -> None:
    ds.engine.set_answering(False)
    shown = ds.ok(*words)
    assert "--docker-args" not in words or "--cgroup-parent=ds01-default-alice.slice" in shown


def test_remove_answers_alike_for_any_number_of_names(ds: CommandLine) -> None:
    for name in ("one", "two", "three"):
        ds.ok("container-create", name, "pytorch", "--cpu-only")
    first, both = ds("container-remove", "one", "--json").json, ds("container-remove", "two", "three", "--json").json
    assert first.keys() == both.keys() == {"containers"} and len(both["containers"]) == 2


def test_an_unknown_command_answers_in_json_too(ds: CommandLine) -> None:
    for words in (["nosuch", "--json"], ["container", "nosuch", "--json"], ["container-nosuch", "x", "--json"]):
        error = ds(*words).json["error"]
        assert "nosuch" in error["message"] and "--json" not in error["message"]


def test_the_list_says_once_that_a_container_was_stopped(ds: CommandLine) -> None:
    ds.ok("container-deploy", "t", "pytorch", "--cpu-only")
    ds.ok("container-stop", "t")
    shown = ds.ok("container-list")
    assert "stopped by alice" in shown and "stopped, stopped" not in shown
