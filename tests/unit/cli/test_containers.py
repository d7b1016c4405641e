"""The container commands, as their users type them."""

from __future__ import annotations

import json

import pytest

from ds01.engines.protocol import Devices
from ds01.host.checks.findings import Finding, Level
from tests.command_line import CommandLine


def image_of(ds: CommandLine, name: str = "thesis") -> str:
    return ds.harness.record("alice", name).image


# the image of a new container, in the contract's order


def test_the_image_by_its_option(ds: CommandLine) -> None:
    ds.ok("container-create", "thesis", "--image", "nvcr.io/nvidia/pytorch:24.01")
    assert image_of(ds) == "nvcr.io/nvidia/pytorch:24.01"


def test_a_framework_by_its_option_or_as_the_second_word(ds: CommandLine) -> None:
    ds.ok("container-create", "one", "--framework", "tensorflow-2.14.0")
    ds.ok("container-create", "two", "tensorflow-2.14.0")
    assert image_of(ds, "one") == image_of(ds, "two") == "aimehub/tensorflow-2.14.0-cuda11.8"
    ds.fails(5, "container-create", "three", "--framework", "cobol")
    ds.fails(5, "container-create", "three", "pytorch-99")


def test_the_second_word_as_an_own_image_then_as_any(ds: CommandLine) -> None:
    ds.engine.tag("any/image", "ds01-70001/mine:latest")
    ds.ok("container-create", "one", "mine", "--cpu-only")
    assert image_of(ds, "one") == "ds01-70001/mine"
    ds.ok("container-create", "two", "debian", "--cpu-only")
    assert image_of(ds, "two") == "debian"
    error = ds.fails(5, "container-create", "three", "absent/image")
    assert "neither a framework nor an image" in error and "`--image absent/image` fetches it" in error


def test_the_default_is_the_own_image_of_that_name_or_project(ds: CommandLine) -> None:
    ds.engine.tag("any/image", "ds01-70001/thesis:latest")
    ds.ok("container-create", "thesis", "--cpu-only")
    assert image_of(ds) == "ds01-70001/thesis"
    ds.ok("container-create", "second", "--project", "thesis", "--cpu-only")
    assert image_of(ds, "second") == "ds01-70001/thesis"


def test_no_image_at_all_names_the_three_ways(ds: CommandLine) -> None:
    error = ds.fails(5, "container-create", "thesis")
    assert all(way in error for way in ("--image", "--framework", "container-create thesis pytorch"))
    assert "container-deploy thesis pytorch" in ds.fails(5, "container-deploy", "thesis")


def test_an_image_that_is_not_here_is_fetched_before_anything_is_leased(ds: CommandLine) -> None:
    assert "Fetching remote/thing" in ds.ok("container-create", "thesis", "--image", "remote/thing")
    ds.fails(5, "container-create", "other", "--image", "absent/thing")
    assert "not on this server: would be fetched" in ds.ok(
        "container-create", "other", "--image", "remote/more", "--dry-run"
    )
    assert len(ds.harness.records()) == 1


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "options",
    [
        ["pytorch", "--image", "x"],
        ["pytorch", "--framework", "pytorch"],
        ["--image", "x", "--framework", "pytorch"],
        ["pytorch", "--cpu-only", "--gpus", "1"],
        ["pytorch", "--cpu-only", "--profile", "2g.20gb"],
        ["pytorch", "--gpus", "0", "--gpu-type", "mig"],
        ["pytorch", "--profile", "2g.20gb", "--gpu-type", "full"],
        ["pytorch", "--open", "--background"],
        ["pytorch", "--open"],
        ["pytorch", "-w", ""],
        ["--image", ""],
        ["--image", "Not An Image"],
    ],
    ids=" ".join,
)
def test_contradictions_are_wrong_use_and_change_nothing(options: list[str], ds: CommandLine) -> None:
    ds.fails(2, "container-deploy", "thesis", *options)
    assert ds.harness.records() == []


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        (["8888:8888", "8888:99"], "port 8888 of the server is published 2 times"),
        (["8888", "9000:8888"], "port 8888 in the container is published 2 times"),
        (["99", "99", "99"], "port 99 in the container is published 3 times"),
    ],
)
def test_a_port_twice_is_wrong_use_at_create(ports: list[str], said: str, ds: CommandLine) -> None:
    options = [word for port in ports for word in ("-p", port)]
    for verb in ("container-create", "container-deploy"):
        error = ds.fails(2, verb, "thesis", "pytorch", *options)
        assert said in error and f"-p {ports[0]} -p {ports[1]}" in error and "-p HOST:CONTAINER" in error
    assert ds.harness.records() == []
    ds.ok("container-create", "thesis", "pytorch", "-p", "8888:99", "-p", "8889:8888", "-p", "8887")


@pytest.mark.parametrize("option", ["--data", "--models"])
def test_a_folder_that_is_not_there_is_wrong_use(option: str, ds: CommandLine) -> None:
    for words in (["container-create", "thesis", "pytorch"], ["mlc-create", "thesis", "Pytorch"]):
        error = ds.fails(2, *words, option, "/nope/here")
        assert "there is no directory /nope/here" in error and f"{option} names it" in error and "→ " in error
    assert ds.harness.records() == []
    ds.fails(3, "container-create", "thesis", "pytorch", option, "/etc")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("profile", ["zz", "", "2g", "2g.20", "20gb", "x" * 99])
def test_what_is_no_profile_is_wrong_use(profile: str, ds: CommandLine) -> None:
    error = ds.fails(2, "container-create", "thesis", "pytorch", "--profile", profile)
    assert "unknown MIG profile" in error and "a MIG profile like 2g.20gb" in error
    ds.fails(2, "gpu", "allocate", "--container", "x", "--profile", profile, who="boss")


def test_what_the_server_does_not_have_is_named_beside_what_it_has(ds: CommandLine) -> None:
    for more in ([], ["--dry-run"]):
        error = ds.fails(4, "container-create", "thesis", "pytorch", "--profile", "3g.40gb", *more)
        assert "cannot give 1 GPU with the profile 3g.40gb" in error
        assert "it has 0 of these; in all: 1 whole, 3 of 2g.10gb" in error and "--profile 2g.10gb" in error
    error = ds.fails(4, "container-create", "thesis", "pytorch", "--gpu-type", "full", "--gpus", "2")
    assert "cannot give 2 GPUs, whole ones" in error and "it has 1 of these" in error
    assert "2g.10gb" in ds.ok("container-create", "thesis", "pytorch", "--profile", "2G.10GB")
    assert "2g.10gb" in ds.ok("container-create", "other", "pytorch", "--profile", "MIG 2g.10gb")


@pytest.mark.parametrize("profile", ["1g.5gb+me", "MIG 1g.5gb+ME", "1g.5gb"])
def test_a_profile_is_asked_for_with_its_suffix(profile: str, ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS01_GPUS", "simulated:1xA100:1x2g.10gb+1x1g.5gb+1x1g.5gb+me")
    wanted = profile.removeprefix("MIG ").casefold()
    assert f"({wanted})" in ds.ok("container-create", "thesis", "pytorch", "--profile", profile)
    error = ds.fails(4, "container-create", "other", "pytorch", "--profile", profile, who="bob")
    assert "free now, of another kind" in error


# names


def test_a_name_is_folded_and_that_is_said(ds: CommandLine) -> None:
    assert "The name becomes my-thesis" in ds.ok("container-deploy", "My Thesis", "pytorch")
    assert "Stopped my-thesis" in ds.ok("container-stop", "MY thesis")
    assert "Started my-thesis" in ds.ok("container-start", "my-thesis._.70001")
    ds.fails(2, "container-create", "thesis!", "pytorch")
    assert "at most 63" in ds.fails(2, "container-create", "x" * 64, "pytorch")


def test_somebody_elses_container_is_as_absent(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    absent = ds.fails(5, "container-stop", "nothing", who="bob").replace("nothing", "thesis")
    assert ds.fails(5, "container-stop", "thesis", who="bob") == absent
    ds.fails(5, "container-stop", "thesis._.70001", who="bob")
    assert ds.state() == "running"


# for others


def test_admins_act_for_others_by_login_or_uid(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--user", "alice", who="boss")
    assert ds.harness.record("alice").history[0].actor == "boss"
    assert "thesis" in ds.ok("container-list", "--user", "70001", who="boss")
    ds.ok("container-stop", "thesis._.70001", who="boss")
    assert ds.state() == "held"


@pytest.mark.parametrize(
    "words", ["container-list", "container-stop thesis", "container-create x pytorch", "gpu allocate --container x"]
)
def test_others_do_not(words: str, ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    for user in ("alice", "70001"):
        error = ds.fails(3, *words.split(), "--user", user, who="bob")
        assert "bob may not act for alice" in error and "admin: true" in error
    ds.ok("container-list", "--user", "bob", who="bob")


# stop, and what follows


def test_stop_says_how_many_end_and_how_long_the_gpu_is_held(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    ds.engine.spawn("thesis._.70001", "python train.py")
    said = ds.ok("container-stop", "thesis")
    assert "Stopping thesis: 1 process will end" in said
    assert "GPU 1:0 (2g.10gb) is held for you until" in said and "(1d left)" in said
    assert "--release" in said
    assert "is not running (it is held)" in ds.ok("container-stop", "thesis")


def test_release_frees_the_gpu_also_of_a_held_one(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch")
    ds.ok("container-deploy", "two", "pytorch")
    ds.ok("container-stop", "one")
    ds.ok("container-stop", "one", "--release")
    assert ds.state("one") == "stopped"
    ds.ok("container-stop", "two", "--release")
    assert ds.state("two") == "stopped" and ds.harness.leased() == {}


def test_stop_all_with_release_takes_the_held_ones_too(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch")
    ds.ok("container-deploy", "two", "pytorch")
    ds.ok("container-stop", "one")
    ds.ok("container-stop", "--all")
    assert (ds.state("one"), ds.state("two")) == ("held", "held")
    ds.ok("container-stop", "--all", "--release")
    assert ds.harness.leased() == {}
    assert "You have no running containers" in ds.ok("container-stop", "--all")


def test_keep_container_is_kept(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    ds.ok("container-stop", "thesis", "--keep-container")
    assert ds.harness.record("alice").keep


def test_retire_is_said_once_and_frees_the_gpu(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    assert "Would stop and remove thesis" in ds.ok("container-retire", "thesis", "--dry-run")
    assert ds.state() == "running"
    said = ds.ok("container-retire", "thesis")
    assert said == "Retired thesis: GPU 1:0 (2g.10gb) is free, the workspace stays.\n"
    assert ds.harness.records() == [] and (ds.harness.home("alice") / "workspace" / "thesis").is_dir()


def test_remove_all_names_images_and_a_dry_run(ds: CommandLine) -> None:
    for name in ("one", "two", "three"):
        ds.ok("container-deploy", name, "debian", "--cpu-only")
    ds.ok("container-stop", "one")
    ds.ok("container-stop", "two")
    assert ds.ok("container-remove", "--all", "--dry-run").count("Would remove") == 2
    assert len(ds.harness.records()) == 3
    ds.ok("container-remove", "one", "one")
    ds.ok("container-remove", "--all")
    assert [record.name for record in ds.harness.records()] == ["three"]
    said = ds.ok("container-remove", "three", "--force", "--images")
    assert "Removed three." in said and ds.harness.records() == []
    assert ds("container-list").out.startswith("No containers")


def test_a_failed_removal_does_not_stop_the_others(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "debian", "--cpu-only")
    ds.ok("container-deploy", "two", "debian", "--cpu-only")
    ds.ok("container-stop", "two")
    ds.fails(6, "container-remove", "one", "two")
    assert [record.name for record in ds.harness.records()] == ["one"]


def test_cleanup_shows_sizes_and_removes_what_was_chosen(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch")
    assert "You have no stopped containers" in ds.ok("container-cleanup")
    ds.ok("container-stop", "one")
    shown = ds("container-cleanup")
    assert shown.code == 2 and "`--all` removes all of them" in shown.err
    assert "SIZE" in shown.out and "one" in shown.out
    assert "one" in ds.ok("container-cleanup", "--dry-run") and ds.state("one") == "held"
    assert "Removed 1" in ds.ok("container-cleanup", "--all")


def test_pause_and_unpause(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    assert "Paused thesis." in ds.ok("container-pause", "thesis")
    assert "already paused" in ds.ok("container-pause", "thesis")
    assert "paused" in ds.ok("container-list")
    assert "thesis continues." in ds.ok("container-unpause", "thesis")
    assert "already running" in ds.ok("container-unpause", "thesis")
    ds.ok("container-stop", "thesis")
    ds.fails(6, "container-pause", "thesis")


@pytest.mark.parametrize("words", [["container-pause", "thesis"], ["container-extend", "thesis", "1h"]])
def test_what_needs_a_running_container_says_how_to_start_it(words: list[str], ds: CommandLine) -> None:
    ds.ok("container-create", "thesis", "pytorch")
    assert "→ `container-start thesis` starts it" in ds.fails(6, *words)


def test_start_when_somebody_else_has_the_gpu_says_how_to_go_on(
    ds: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DS01_GPUS", "simulated:2xA100")
    ds.ok("container-deploy", "thesis", "pytorch")
    ds.ok("container-stop", "thesis", "--release")
    (row,) = json.loads(ds.ok("container-list", "--json"))["containers"]
    ds.ok("gpu", "allocate", "--container", "x", "--gpu", row["gpus_fixed"][0]["slot"], who="boss")
    assert "boss (x)" in ds.fails(4, "container-start", "thesis")
    assert "Started thesis on GPU 1" in ds.ok("container-start", "thesis", "--recreate")
    assert "is already running" in ds.ok("container-start", "thesis")


def test_stats(ds: CommandLine) -> None:
    assert "You have no running containers" in ds.ok("container-stats")
    ds.ok("container-deploy", "thesis", "pytorch")
    assert "PROCESSES" in ds.ok("container-stats", "thesis")
    assert "--watch --interval 5" in ds.fails(2, "container-stats", "--interval", "5")
    assert "exit code 130" in ds.ok("container-stats", "--help") and "exit code 130" in ds.ok("mlc-stats", "--help")


# the list


def test_the_list_says_what_happens_next(ds: CommandLine) -> None:
    ds.ok("container-create", "new", "pytorch")
    ds.ok("container-deploy", "runs", "pytorch")
    shown = ds.ok("container-list")
    assert shown.splitlines()[0].split() == ["NAME", "STATE", "GPU", "FOR", "NEXT", "PORTS", "IMAGE"]
    assert "release in 30m" in shown and "idle stop in 2d" in shown
    ds.harness.clock.advance(hours=5)
    ds.ok("container-stop", "runs")
    assert "hold ends in 1d" in ds.ok("container-list")
    ds.harness.clock.advance(hours=25)
    assert "hold ends is due" in ds.ok("container-list") or "stopped" in ds.ok("container-list")


def test_a_summary_is_below_the_list(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch")
    assert ds.ok("container-list").splitlines()[-1] == "1 container, 1 running; 1 of 2 GPUs used"
    ds.ok("container-create", "two", "pytorch", "--cpu-only")
    ds.ok("container-deploy", "three", "pytorch", "--cpu-only")
    ds.ok("container-retire", "three")
    ds.engine.add_foreign("other", labels={}, devices=Devices())
    assert ds.ok("container-list").splitlines()[-1] == "2 containers, 1 running; 1 of 2 GPUs used"
    said = ds.ok("container-list", "--all").splitlines()[-1]
    assert said == "2 containers, 1 running, 1 removed, 1 not created by ds01; 1 of 2 GPUs used"


def test_a_summary_names_no_quota_where_there_is_none_or_several(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch")
    ds.ok("container-deploy", "two", "pytorch", who="boss")
    assert ds.ok("container-list", who="boss").splitlines()[-1] == "1 container, 1 running; 1 GPU used"
    assert ds.ok("container-list", "--all-users").splitlines()[-1] == "2 containers, 2 running; 2 GPUs used"


def test_a_project_has_a_column_where_it_is_not_the_name(ds: CommandLine) -> None:
    ds.ok("container-create", "plain", "pytorch", "--cpu-only")
    assert "PROJECT" not in ds.ok("container-list")
    ds.ok("container-create", "second", "pytorch", "--project", "thesis", "--cpu-only")
    heading, plain, second = ds.ok("container-list").splitlines()[:3]
    assert heading.split()[:3] == ["NAME", "PROJECT", "STATE"]
    assert plain.split()[:2] == ["plain", "plain"] and second.split()[:2] == ["second", "thesis"]


def test_piped_it_is_plain_and_whole(ds: CommandLine) -> None:
    image = "registry.example.org:5000/a/very/long/path/to/an/image-of-somebody:with-a-long-tag"
    ds.ok("container-create", "n" * 60, "--image", image)
    shown = ds.ok("container-list")
    assert "n" * 60 in shown and image in shown and "\x1b" not in shown


def test_list_all_shows_removed_and_foreign_containers_safely(ds: CommandLine) -> None:
    ds.ok("container-deploy", "gone", "pytorch")
    ds.ok("container-retire", "gone")
    labels = {"aime.mlc.USER": "\x1b]0;evil\x07\x1b[2J"}
    ds.engine.add_foreign("other", labels=labels, devices=Devices(everything=True))
    shown = ds.ok("container-list", "--all")
    assert "removed" in shown and "other" in shown and "\x1b" not in shown and "\x07" not in shown
    assert "\x1b" not in ds.ok("container-list", "--all", "--json")
    shown = ds.ok("gpu", "status")
    assert "busy_outside" in shown and "ignore_containers" in shown and "\x1b" not in shown
    error = ds.fails(4, "container-create", "mine", "pytorch")
    assert "used outside ds01" in error and "other" in error


def test_all_users(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    assert "thesis" not in ds.ok("container-list", who="bob")
    shown = ds.ok("container-list", "--all-users", who="bob")
    assert "USER" in shown and "alice" in shown


def test_guided_explains_each_step_once(ds: CommandLine) -> None:
    said = ds.ok("container-deploy", "thesis", "pytorch", "--guided")
    assert said.count("An IMAGE is a blueprint") == 1 and said.count("A GPU is lent") == 1
    assert "/workspace" in said and "container-retire thesis" in said
    assert all(len(line) <= 100 for line in said.splitlines() if line.startswith("│"))
    for words in ("list", "stats", "stop thesis", "start thesis", "pause thesis", "unpause thesis", "exit"):
        assert "│ " in ds.ok(*f"container-{words}".split(), "--guided")
    assert "│ " in ds.ok("container-retire", "thesis", "--guided")
    assert "│ " in ds.ok("container-cleanup", "--guided")


# limits and GPUs


def test_limits_as_lines_with_sources_and_as_flags(ds: CommandLine) -> None:
    lines = ds.ok("limits").splitlines()
    assert "Max MIG Instances: 2" in lines and "Group: default" in lines
    explained = ds.ok("limits", "boss", "--explain")
    assert "groups.admins" in explained and "defaults" in explained
    flags = ds.ok("limits", "alice", "--docker-args").split()
    assert "--cpus=8" in flags and "--memory=32g" in flags and flags[-1].startswith("--cgroup-parent=ds01-default-")


def test_ulimits_are_shown_as_the_policy_writes_them(ds: CommandLine) -> None:
    ds.harness.set_policy("defaults: {ulimits: {stack: 64m, core: 0, nofile: 65536, memlock: -1, nproc: 4096}}\n")
    shown = ds.ok("limits").splitlines()
    for line in ("stack: 64m", "core: 0b", "nofile: 65536", "memlock: unlimited", "nproc: 4096"):
        assert f"Ulimit {line}" in shown


def test_sizes_have_one_form_for_people_and_are_exact_for_docker(ds: CommandLine) -> None:
    ds.harness.set_policy("defaults: {memory: 24105m, shm_size: 1536m, aggregate: {memory: 48210m}}\n")
    assert "23.5g memory" in ds.ok("container-create", "thesis", "pytorch", "--cpu-only")
    shown = ds.ok("limits")
    for line in ("Memory: 23.5g", "Shared Memory: 1.5g", "All Containers: Memory: 47.1g"):
        assert line in shown.splitlines()
    assert "--memory=24105m" in ds.ok("limits", "--docker-args")


def test_leases_by_hand(ds: CommandLine) -> None:
    said = ds.ok("gpu", "allocate", "--user", "alice", "--container", "reserve", "--gpu", "0,1:2", who="boss")
    assert "no GPU" not in said
    ds.fails(2, "gpu", "allocate", "--container", "b", "--gpu", "0", "--max-gpus", "2", who="boss")
    ds.fails(5, "gpu", "allocate", "--container", "b", "--gpu", "9", who="boss")
    ds.fails(2, "gpu", "allocate", who="boss")
    assert "alice (reserve)" in ds.ok("gpu", "status")
    assert "is present" in ds.ok("gpu", "validate", "--container", "reserve")
    ds.ok("gpu", "release", "--container", "reserve")
    assert "4 of 4 free" in ds.ok("gpu", "status")


def test_a_lease_by_hand_is_listed_with_the_command_that_ends_it(ds: CommandLine) -> None:
    ds.ok("container-create", "mine", "pytorch", "--cpu-only")
    ds.ok("gpu", "allocate", "--user", "alice", "--container", "reserve", "--gpu", "1:2", who="boss")
    listed = json.loads(ds.ok("container-list", "--json"))["containers"]
    origins = [(one["name"], one["origin"], [slot["slot"] for slot in one["gpus"]]) for one in listed]
    assert origins == [("mine", "created", []), ("reserve", "manual", ["1:2"])]
    said = ds.ok("container-list")
    row = next(line for line in said.splitlines() if line.startswith("reserve "))
    assert "by hand" in row and "1:2" in row and "running" not in row
    assert "`ds01 gpu release --container reserve`" in said
    assert said.splitlines()[-1] == "1 container, 0 running; 1 of 2 GPUs used"
    ds.ok("gpu", "release", "--container", "reserve")
    assert "reserve" not in ds.ok("container-list")


def test_hints_for_leases_by_hand_can_be_typed_as_they_stand(ds: CommandLine) -> None:
    ds.ok("gpu", "allocate", "--user", "alice", "--container", "reserve", "--gpu", "1:2", who="boss")
    said = ds.ok("container-list", "--user", "alice", who="boss")
    assert "`ds01 gpu release --container reserve --user alice`" in said
    everybody = ds.ok("container-list", "--all-users", who="bob")
    assert "reserve" in everybody and "gpu release" not in everybody, "bob may not end it"


def test_check_limits_names_leases_by_hand(ds: CommandLine) -> None:
    ds.ok("gpu", "allocate", "--user", "alice", "--container", "reserve", "--gpu", "1:2", who="boss")
    document = ds("check-limits", "--json").json
    assert document["quotas"]["gpus"]["used"] == 1 and document["quotas"]["containers"]["used"] == 0
    (lease,) = document["manual"]
    assert (lease["name"], lease["origin"], lease["gpus"][0]["slot"]) == ("reserve", "manual", "1:2")
    assert "`ds01 gpu release --container reserve`" in ds.ok("check-limits")


@pytest.mark.in_process("puts findings into its inside")
def test_counts_use_singular_and_plural(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    said = ds.fails(2, "gpu", "allocate", "--container", "x", "--max-gpus", "2", "--gpu", "1:0", who="boss")
    assert "--max-gpus is 2, but --gpu names 1 slot" in said
    findings = (Finding("a", Level.ERROR, "is wrong"), Finding("b", Level.WARNING, "is odd"))
    monkeypatch.setattr("ds01.cli.doctor.run_doctor", lambda *_, **__: findings)
    assert "\n1 error, 1 warning; `sudo ds01 doctor --fix` fixes 0 of them" in ds("doctor").out
    monkeypatch.setattr("ds01.cli.doctor.run_doctor", lambda *_, **__: findings[1:] * 2)
    assert "\n0 errors, 2 warnings; `sudo ds01 doctor --fix` fixes 0 of them" in ds("doctor").out


def test_marks_are_refused_when_docker_disagrees(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    ds.fails(6, "gpu", "mark-stopped", "--container", "thesis")
    ds.ok("gpu", "clear-stopped", "--container", "thesis")
    assert "GPU 1:0 is present" in ds.ok("gpu", "validate", "--container", "thesis")


def test_check_limits_counts_what_is_used_and_what_is_left(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    ds.ok("container-deploy", "other", "pytorch", "--cpu-only")
    ds.ok("container-stop", "thesis")
    ds.ok("container-deploy", "theirs", "pytorch", who="bob")
    document = ds("check-limits", "--json").json
    assert document["quotas"]["gpus"] == {"used": 1, "limit": 2, "left": 1}  # a held one counts
    assert document["quotas"]["containers"] == {"used": 2, "limit": 3, "left": 1}
    assert [(one["name"], one["deadline"]["because"]) for one in document["deadlines"]] == [
        ("other", "idle"),
        ("thesis", "hold"),
    ]
    said = ds.ok("check-limits")
    assert "thesis: hold ends in 1d" in said
    assert "unlimited" in ds.ok("check-limits", who="boss")


def test_stats_show_the_gpu_beside_cpu_and_memory(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--gpu-type", "full")
    ds.ok("container-deploy", "cpu", "pytorch", "--cpu-only")
    (cpu, thesis) = sorted(ds("container-stats", "--json").json["containers"], key=lambda item: item["name"])
    assert cpu["gpu_usage"] == []
    assert thesis["gpu_usage"] == [
        {
            "slot": "0",
            "utilisation_percent": 0.0,
            "memory_used_bytes": 0,
            "memory_bytes": 40 << 30,
            "processes": 0,
        }
    ]
    said = ds.ok("container-stats", "thesis")
    tables = [part.splitlines() for part in said.split("\n\n")]
    assert [table[0].split() for table in tables] == [
        ["NAME", "CPU", "MEMORY", "PROCESSES", "READ/S", "WRITE/S", "NET/S"],
        ["NAME", "GPU", "BUSY", "GPU", "MEMORY", "GPU", "PROCS"],
    ]
    assert "0b/40g" in said and "0%" in said


def test_stats_have_a_line_for_each_slot(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--gpus", "2", "--gpu-type", "mig")
    (item,) = ds("container-stats", "--json").json["containers"]
    assert [used["slot"] for used in item["gpu_usage"]] == [slot["slot"] for slot in item["gpus"]] == ["1:0", "1:1"]
    lines = ds.ok("container-stats", "thesis").partition("\n\n")[2].splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["thesis", "1:0"], ["thesis", "1:1"]]
    assert max(map(len, lines)) <= 80


def little_use(ds: CommandLine, *options: str) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--gpu-type", "full", "--background", *options)
    for _ in range(12):
        ds.harness.clock.advance(minutes=1)
        ds.ok("tick", who="root")


def test_stats_advise_when_little_is_used(ds: CommandLine) -> None:
    little_use(ds)
    advice = ds.ok("container-stats").splitlines()[-1]
    assert advice == (
        "thesis used less than 1 % of its GPU in 11m: `container-deploy thesis --cpu-only` would do, or "
        "`container-stop thesis --release` gives it back."
    )
    assert "--user alice" in ds.ok("container-stats", "--user", "alice", who="boss").splitlines()[-1]
    ds.ok("container-stop", "thesis", "--release")
    assert "would do" not in ds.ok("container-stats")


@pytest.mark.parametrize(
    "words", [("container-stop", "thesis"), ("container-stop", "thesis", "--release"), ("container-retire", "thesis")]
)
def test_the_end_of_a_lease_advises_for_the_next_time(ds: CommandLine, words: tuple[str, ...]) -> None:
    little_use(ds)
    assert ds.ok(*words, "--force").splitlines()[-1] == (
        "thesis used less than 1 % of its GPU in 11m: `container-deploy thesis --cpu-only` would do next time."
    )


def test_a_stop_soon_after_the_start_advises_nothing(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--gpu-type", "full", "--background")
    ds.ok("tick", who="root")
    assert "would do" not in ds.ok("container-stop", "thesis", "--force")
