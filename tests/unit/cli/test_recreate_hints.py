"""If a container's GPU is taken, gone or over the quota, the hint names a command that works."""

from __future__ import annotations

import json

import pytest

from ds01.gpus.simulated import parse_inventory
from tests.actions import create_container
from tests.command_line import CommandLine
from tests.harness import Harness

LIMITS = "defaults: {max_mig_instances: 9, max_gpus_per_container: 9, max_containers_per_user: 9}\n"


def other_gpus(ds: CommandLine, monkeypatch: pytest.MonkeyPatch, gpus: str) -> None:
    monkeypatch.setenv("DS01_GPUS", f"simulated:{gpus}")
    ds.harness.inventory = parse_inventory(gpus)


def stopped_and_taken(ds: CommandLine, *words: str) -> None:
    """alice's `one` is stopped, and bob has its slot."""
    ds.ok("container-deploy", "one", "pytorch", *words)
    slot = ds.harness.record("alice", "one").slots[0]
    ds.ok("container-stop", "one", "--release")
    ds.ok("gpu", "allocate", "--container", "taker", "--gpu", slot, "--user", "bob", who="root")


def test_a_stopped_container_whose_gpu_is_taken_names_recreate(ds: CommandLine) -> None:
    stopped_and_taken(ds)
    refused = ds.error("container-start", "one")
    assert (refused["exit"], refused["code"]) == (4, "gpu.none_free")
    assert [claim["slot"] for claim in refused["data"]["refusal"]["claims"]] == ["1:0"]
    assert "`container-start one --recreate`" in refused["hint"] and "one is free now" in refused["hint"]
    assert "Started one" in ds.ok("container-start", "one", "--recreate")


@pytest.mark.parametrize("command", ["container-run", "mlc-start"])
def test_every_command_that_starts_it_names_recreate(command: str, ds: CommandLine) -> None:
    stopped_and_taken(ds)
    words = ["one", "--", "true"] if command == "container-run" else ["one"]
    refused = ds.fails(125 if command == "container-run" else 4, command, *words)
    assert "`container-start one --recreate`" in refused
    assert ("`--wait`" in refused) == (command == "container-run")


def test_with_nothing_free_it_names_recreate_with_wait(ds: CommandLine) -> None:
    stopped_and_taken(ds)
    ds.harness.set_policy(LIMITS)
    for number in range(3):
        ds.ok("gpu", "allocate", "--container", f"rest{number}", "--user", "carol", who="root")
    refused = ds.error("container-start", "one")
    assert (refused["exit"], refused["code"]) == (4, "gpu.none_free")
    assert "`container-start one --recreate --wait`" in refused["hint"]


def test_with_mig_gone_retire_and_deploy_are_named(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    ds.ok("container-deploy", "one", "pytorch", "--profile", "2g.10gb")
    ds.ok("container-stop", "one")
    other_gpus(ds, monkeypatch, "2xA100")
    refused = ds.error("container-start", "one")
    assert (refused["exit"], refused["code"]) == (6, "gpu.lost")
    assert "--recreate" not in json.dumps(refused)
    assert "`container-retire one`, then `container-deploy one --gpus 1`" in refused["hint"]
    ds.ok("container-retire", "one")
    ds.ok("container-deploy", "one", "pytorch", "--gpus", "1")


def test_with_the_instance_gone_and_others_there_recreate_works(
    ds: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds.ok("container-deploy", "one", "pytorch")
    ds.ok("container-stop", "one")
    other_gpus(ds, monkeypatch, "1xA100")
    refused = ds.error("container-start", "one")
    assert (refused["exit"], refused["code"]) == (6, "gpu.lost")
    assert "`container-start one --recreate`" in refused["hint"] and "one is free now" in refused["hint"]
    ds.ok("container-start", "one", "--recreate")


def test_with_no_gpu_left_it_is_cpu_only(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    ds.ok("container-deploy", "one", "pytorch", "--gpus", "1")
    ds.ok("container-stop", "one")
    other_gpus(ds, monkeypatch, "none")
    refused = ds.error("container-start", "one")
    assert (refused["exit"], refused["code"]) == (6, "gpu.lost")
    assert "`container-deploy one --cpu-only`" in refused["hint"]


def test_more_than_the_policy_gives_now_names_how_many_it_may_be(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch", "--gpus", "2")
    ds.ok("container-stop", "one", "--release")
    ds.harness.set_policy("defaults: {max_mig_instances: 2, max_gpus_per_container: 1}\n")
    refused = ds.error("container-start", "one")
    assert (refused["exit"], refused["code"]) == (3, "quota.gpus_per_container")
    assert refused["data"]["refusal"]["asked"] == 2 and "--recreate" not in json.dumps(refused)
    assert "`container-retire one`, then `container-deploy one --gpus 1`" in refused["hint"]


def test_recreate_that_is_refused_does_not_name_itself(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch", "--gpus", "2")
    ds.ok("container-stop", "one", "--release")
    ds.harness.set_policy("defaults: {max_mig_instances: 2, max_gpus_per_container: 1}\n")
    refused = ds.fails(3, "container-start", "one", "--recreate")
    assert "--recreate" not in refused and "`container-deploy one --gpus 1`" in refused


def test_a_quota_of_zero_suggests_cpu_only(ds: CommandLine) -> None:
    ds.harness.set_policy("defaults: {max_mig_instances: 0}\n")
    assert "`--cpu-only` creates it without a GPU" in ds.fails(3, "container-create", "x", "pytorch", "--gpus", "1")
    ds.harness.set_policy("defaults: {max_mig_instances: 1, max_gpus_per_container: 2}\n")
    assert "`--gpus 1` asks for fewer" in ds.fails(3, "container-create", "x", "pytorch", "--gpus", "2")


def test_a_lease_by_hand_in_the_quota_names_the_command_that_ends_it(ds: CommandLine) -> None:
    ds.ok("gpu", "allocate", "--container", "reserve", "--max-gpus", "2", "--user", "alice", who="root")
    refused = ds.fails(3, "container-create", "x", "pytorch", "--gpus", "1")
    assert "`ds01 gpu release --container reserve` gives 2 back" in refused and "container-retire" not in refused
    ds.ok("gpu", "release", "--container", "reserve")
    ds.ok("container-create", "x", "pytorch", "--gpus", "1")


# waiting


def test_start_waits_for_its_own_gpu_for_as_long_as_was_said(ds: CommandLine) -> None:
    stopped_and_taken(ds)
    refused = ds.fails(4, "container-start", "one", "--wait-for", "1s")
    assert refused.startswith("Error: the wait of 1s is over") and ds.ok("queue") == "Nobody is waiting.\n"


def test_start_with_wait_needs_no_queue_if_the_gpu_is_free(ds: CommandLine) -> None:
    ds.ok("container-create", "one", "pytorch")
    assert "Started one" in ds.ok("container-start", "one", "--wait")
    ds.ok("container-stop", "one", "--release")
    assert ds("container-run", "one", "--wait", "--", "true").code == 0


def test_recreate_waits_for_any_gpu(ds: CommandLine) -> None:
    stopped_and_taken(ds)
    assert "Started one" in ds.ok("container-start", "one", "--recreate", "--wait")


@pytest.mark.parametrize("verb", ["start", "run"])
def test_a_wait_of_no_duration_is_wrong_use(verb: str, ds: CommandLine) -> None:
    words = ["--", "true"] if verb == "run" else []
    assert "is not a duration" in ds.fails(125 if words else 2, f"container-{verb}", "x", "--wait-for", "5", *words)


def waiting_start(harness: Harness, *, recreate: bool = False) -> object:
    """alice's wait to start her container, which has begun: its steps."""

    def nothing_changes(seconds: float) -> None:
        raise InterruptedError

    from tests.client import Client

    return Client(harness.make_context(sleep=nothing_changes)).wait_to_start(
        harness.actor("alice"), harness.full("alice"), recreate=recreate
    )


@pytest.fixture
def taken(harness: Harness) -> Harness:
    """A server with one slot: alice's container on it is stopped, and carol has the slot."""
    harness.inventory = parse_inventory("1xA100")
    harness.set_policy(LIMITS + "groups: {admins: {members: [boss], admin: true}}\n")
    create_container(harness, "alice", start=True)
    harness.gate.stop(harness.actor("alice"), harness.full("alice"), release=True)
    create_container(harness, "carol")
    return harness


@pytest.mark.parametrize("recreate", [False, True])
def test_whoever_waits_to_start_goes_before_those_who_came_later(recreate: bool, taken: Harness) -> None:
    from ds01.errors import NoCapacity

    steps = waiting_start(taken, recreate=recreate)
    first = next(steps)  # type: ignore[call-overload]
    assert first.waiting is not None and first.waiting.position == 1
    assert [row.user for row in taken.gate.queue(taken.actor("bob"))] == ["alice"]
    taken.gate.remove(taken.actor("carol"), taken.full("carol"))
    with pytest.raises(NoCapacity):
        taken.gate.create(taken.actor("bob"), taken.request("bob", gpus=1))
    steps.close()  # type: ignore[attr-defined]
    taken.gate.create(taken.actor("bob"), taken.request("bob", gpus=1))


def test_a_wait_to_start_is_one_refusal_and_no_event_for_each_attempt(taken: Harness) -> None:
    steps = waiting_start(taken)
    next(steps)  # type: ignore[call-overload]
    before = taken.kinds().count("refusal")
    with pytest.raises(InterruptedError):
        next(steps)  # type: ignore[call-overload]
    assert taken.kinds().count("refusal") == before == 0
    assert taken.gate.queue(taken.actor("bob")) == ()


def test_a_wait_to_start_ends_with_the_container_running(taken: Harness) -> None:
    steps = waiting_start(taken)
    next(steps)  # type: ignore[call-overload]
    taken.gate.remove(taken.actor("carol"), taken.full("carol"))
    last = next(steps)  # type: ignore[call-overload]
    assert last.acted.container.state == "running" and taken.gate.queue(taken.actor("bob")) == ()
