"""The mlc commands work as in AIME's v1 and v2; containers of AIME's own tools are adopted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.api.answers import AimeView
from ds01.api.listing import FindAdoptable
from ds01.cli.mlc.docker_format import docker_size, docker_status
from ds01.engines.protocol import Devices
from ds01.gate import queries
from ds01.gate.call import Call
from tests import aime_containers
from tests.command_line import CommandLine
from tests.harness import Harness

AIME_CONTAINER = "theirs._.70001"


def theirs(ds: CommandLine, *slots: str, **more: Any) -> str:
    """A container of AIME's tools, of alice's, that has these slots."""
    devices = Devices(tuple(ds.harness.uuid[slot] for slot in slots), form="device_request")
    return aime_containers.create(ds.harness, engine=ds.engine, **{"devices": devices} | more)


def mounts(ds: CommandLine, container: str) -> dict[str, str]:
    seen = ds.engine.inspect(container)
    assert seen is not None and seen.spec is not None
    return {mount.target: mount.source for mount in seen.spec.mounts}


# mlc-create


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "words",
    [
        ["my", "Pytorch", "2.5.1"],
        ["my", "pytorch", "2.5.1"],
        ["my", "PYTORCH", "2.5.1", "-s"],
        ["my", "Pytorch", "2.5.1", "--script", "-arch", "CUDA_AMPERE"],
        ["my", "Pytorch-2.5.1", "-arch=cuda_ampere"],
        ["my", "Pytorch", "2.5.1", "--architecture=CUDA_AMPERE"],
        ["my", "Pytorch", "2.5.1", "--interactive"],
    ],
)
def test_framework_and_version_in_every_spelling(ds: CommandLine, words: list[str]) -> None:
    said = ds.ok("mlc-create", *words)
    assert "pytorch-2.5.1" in said and "mlc-open my" in said
    record = ds.harness.record("alice", "my")
    assert record.state.value == "created" and len(record.slots) == 1
    assert record.request is not None and record.request.framework == "Pytorch-2.5.1"


def test_without_a_version_it_is_the_newest_for_these_gpus(ds: CommandLine) -> None:
    newest = ds("mlc-create", "--info", "--json").json["frameworks"]["Pytorch"][0]
    ds.ok("mlc-create", "my", "Pytorch")
    request = ds.harness.record("alice", "my").request
    assert request is not None and request.framework == f"Pytorch-{newest}"


@pytest.mark.sampled(4)
@pytest.mark.parametrize("spelling", ["-w={}", "-w {}", "--workspace={}", "--workspace {}", "--workspace_dir={}"])
def test_the_workspace_in_every_spelling(ds: CommandLine, spelling: str) -> None:
    folder = ds.harness.home("alice") / "workspace" / "thesis"
    ds.ok("mlc-create", "my", "Pytorch", *spelling.format(folder).split())
    assert mounts(ds, "my._.70001") == {"/workspace": str(folder)}


def test_without_a_word_it_is_the_whole_workspace_as_aime_has_it(ds: CommandLine) -> None:
    said = ds.ok("mlc-create", "my", "Pytorch")
    home = ds.harness.home("alice")
    assert mounts(ds, "my._.70001") == {"/workspace": f"{home}/workspace"}
    assert f"Its /workspace is {home}/workspace." in said


@pytest.mark.parametrize("short", [True, False])
def test_data_and_models(ds: CommandLine, short: bool) -> None:
    shared = ds.harness.root / "shared"
    words = [f"-d={shared}/data", f"-m={shared}/models"]
    words = words if short else ["--data_dir", f"{shared}/data", "--models_dir", f"{shared}/models"]
    ds.ok("mlc-create", "my", "Pytorch", *words)
    found = mounts(ds, "my._.70001")
    assert (found["/data"], found["/models"]) == (f"{shared}/data", f"{shared}/models")


@pytest.mark.sampled(4)
@pytest.mark.parametrize("words", [["-g=1"], ["-g", "1"], ["--num_gpus=1"], ["--gpus=1"], ["-ng", "1"], ["-ng=1"], []])
def test_one_gpu(ds: CommandLine, words: list[str]) -> None:
    ds.ok("mlc-create", "my", "Pytorch", *words)
    assert len(ds.harness.record("alice", "my").slots) == 1


@pytest.mark.parametrize("word", ["-g=0", "-g=none"])
def test_no_gpu(ds: CommandLine, word: str) -> None:
    assert "CPU only" in ds.ok("mlc-create", "my", "Pytorch", word)
    assert ds.harness.record("alice", "my").slots == ()


def test_all_is_what_the_cap_allows_and_that_is_said(ds: CommandLine) -> None:
    said = ds.ok("mlc-create", "my", "Pytorch", "-g=all")
    assert "-g all: 2 GPUs" in said and "max_gpus_per_container" in said
    assert len(ds.harness.record("alice", "my").slots) == 2
    refused = ds.error("mlc-create", "two", "Pytorch", "-g", "all")
    assert (refused["exit"], refused["code"], refused["data"]["refusal"]["limit"]) == (3, "quota.gpus", 2)
    assert "(my)" in refused["why"]
    ds.ok("container-retire", "my")
    ds.ok("container-deploy", "one", "pytorch")
    said = ds.ok("mlc-create", "my", "Pytorch", "--num_gpus", "ALL")
    assert "-g all: 1 GPU;" in said and "max_mig_instances" in said


@pytest.mark.parametrize("word", ["device=0", '"device=0,1"', "device=GPU-aaaa"])
def test_a_gpu_by_name_is_refused_with_the_reason(ds: CommandLine, word: str) -> None:
    refused = ds.fails(3, "mlc-create", "my", "Pytorch", f"-g={word}")
    assert "somebody else" in refused and "-g 1" in refused
    assert ds.harness.records() == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, [], "--info"),
        (2, ["my"], "which framework"),
        (2, ["my", "Pytorch", "-g=x"], "not a number"),
        (2, ["my", "Pytorch", "-g=-1"], "not a number"),
        (2, ["my", "Pytorch", "-arch", "SPARC"], "CUDA_ADA"),
        (2, ["my", "Pytorch", "-w="], "the name of the directory is empty"),
        (2, ["my", "Pytorch", "2.5.1", "more"], "more"),
        (2, ["my", "Pytorch", "--nonsense"], "nonsense"),
        (2, ["_my", "Pytorch"], "invalid container name"),
        (5, ["my", "Caffe"], "Tensorflow"),
        (5, ["my", "Pytorch", "9.9"], "nearest"),
    ],
)
def test_invalid_arguments_are_reported(ds: CommandLine, code: int, words: list[str], said: str) -> None:
    assert said in ds.fails(code, "mlc-create", *words)
    assert ds.harness.records() == []


def test_info_lists_frameworks_and_versions_of_an_architecture(ds: CommandLine) -> None:
    for word in ("-i", "--info"):
        assert "Pytorch: " in ds.ok("mlc-create", word)
    blackwell = ds("mlc-create", "--info", "-arch", "CUDA_BLACKWELL", "--json").json
    ampere = ds("mlc-create", "--info", "--json").json
    assert (ampere["architecture"], blackwell["architecture"]) == ("CUDA_AMPERE", "CUDA_BLACKWELL")
    assert blackwell["frameworks"]["Pytorch"] != ampere["frameworks"]["Pytorch"]
    assert ds.harness.records() == []


# the others


def test_a_life_in_aimes_words(ds: CommandLine) -> None:
    ds.ok("mlc", "create", "my", "Pytorch", "2.5.1", "-w=~/workspace/thesis")
    assert "[my] started on GPU" in ds.ok("mlc", "start", "my")
    assert "[my] is already running" in ds.ok("mlc-start", "my", "-s")
    assert "held for you" in ds.ok("mlc-stop", "my", "-Y")
    assert "is not running" in ds.ok("mlc-stop", "my")
    ds.ok("mlc-start", "my", "--script")
    assert "mlc-stop my" in ds.fails(6, "mlc-remove", "my", "-Y")
    ds.ok("mlc-stop", "my", "--force")
    assert ds.ok("mlc-remove", "my", "-f") == "Removed my.\n"
    assert ds.harness.records() == [] and ds.engine.containers() == []


def test_the_list_has_the_columns_that_scripts_look_for(ds: CommandLine) -> None:
    ds.ok("mlc-create", "my", "Pytorch", "2.5.1")
    ds.ok("mlc-start", "my")
    ds.ok("mlc-create", "his", "Tensorflow", "2.14.0", who="bob")
    theirs(ds)
    ds.harness.clock.advance(days=2, hours=3)
    lines = ds.ok("mlc-list").splitlines()
    assert lines[:3] == ["", "Available ml-containers are:", ""]
    rows = [line.split("  ") for line in lines[3:] if line]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells == [
        ["CONTAINER", "FRAMEWORK", "STATUS"],
        ["[my]", "Pytorch-2.5.1", "Up 2 days"],
        ["[theirs]", "Pytorch-2.7.1", "Created"],
    ]
    for word in ("-a", "--all", "-au", "--all_users"):
        every = ds.ok("mlc-list", word)
        assert "USER" in every and "[his]" in every and "bob" in every
    wide = ds.ok("mlc-list", "-w", "-d", "-m", "-arch", "-s")
    assert all(word in wide for word in ("WORKSPACE", "DATA", "MODELS", "ARCHITECTURE", "SIZE", "CUDA_ADA"))
    ds.ok("mlc-stop", "my")
    ds.harness.clock.advance(hours=1)
    assert "Exited (129) 1 hour ago" in ds.ok("mlc-list")
    assert [item["name"] for item in ds("mlc-list", "--json").json["containers"]] == ["my", AIME_CONTAINER]


def test_stats_in_aimes_columns(ds: CommandLine) -> None:
    ds.ok("mlc-create", "my", "Pytorch")
    ds.ok("mlc-start", "my")
    lines = ds.ok("mlc-stats").splitlines()
    assert lines[1] == "Running ml-containers are:"
    assert lines[3].split("  ")[0] == "CONTAINER" and "MEM USAGE / LIMIT" in lines[3] and "PROCESSES" in lines[3]
    assert lines[4].split()[:5] == ["[my]", "0.00%", "0B", "/", "32GiB"]
    assert ds("mlc-stats", "--stream", "--json").code == 2


@pytest.mark.sampled(4)
@pytest.mark.parametrize("verb", ["open", "start", "stop", "remove"])
def test_without_a_terminal_a_name_is_needed(ds: CommandLine, verb: str) -> None:
    said = ds.fails(2, f"mlc-{verb}")
    assert f"mlc-{verb} NAME" in said or (verb == "open" and "terminal" in said)
    assert "terminal" in ds.fails(2, "mlc-open", "nothing")
    if verb != "open":
        assert "no container nothing" in ds.fails(5, f"mlc-{verb}", "nothing")


def test_updating_is_the_systems_business(ds: CommandLine) -> None:
    for words in (["mlc-update-sys"], ["mlc", "upgrade-sys"], ["mlc-update-sys", "-f"], ["mlc-upgrade-sys", "--force"]):
        said = ds.ok(*words)
        assert "apt-get update && sudo apt-get install ds01" in said


# what AIME's own tools made


def test_container_adopt(ds: CommandLine) -> None:
    theirs(ds, "1:1", start=True)
    answer = ds("container-adopt", "theirs")
    assert answer.out == "Adopted theirs, created by AIME's tools: it is running, with GPU 1:1 (2g.10gb).\n"
    assert "stay as AIME" in answer.err and answer.code == 0
    assert "already" in ds.ok("container-adopt", "theirs")
    assert ds("container-adopt", AIME_CONTAINER, "--json").json["container"]["name"] == "theirs"
    assert "1:1" in ds.ok("container-list")
    ds.ok("container-stop", "theirs")
    ds.ok("container-retire", "theirs")
    assert ds.engine.containers() == []


def test_container_adopt_of_what_is_not_there_or_not_ones_own(ds: CommandLine) -> None:
    theirs(ds)
    assert "no container nothing" in ds.fails(5, "container-adopt", "nothing")
    ds.fails(5, "container-adopt", "theirs", who="bob")
    ds.fails(5, "container-adopt", AIME_CONTAINER, who="bob")
    ds.engine.add_foreign("plain")
    ds.fails(5, "container-adopt", "plain")
    ds.engine.add_foreign("veryold", labels={"aime.mlc": "alice"})
    assert "docker rename veryold" in ds.fails(6, "container-adopt", "veryold")
    ds.ok("container-adopt", "theirs", "--user", "alice", who="boss")


def test_a_refused_adoption_names_who_has_the_gpu(ds: CommandLine) -> None:
    ds.ok("container-deploy", "his", "pytorch", who="bob")
    (slot,) = ds.harness.record("bob", "his").slots
    theirs(ds, slot, start=True)
    refused = ds.fails(4, "container-adopt", "theirs")
    assert "bob (his)" in refused and "mlc-stop theirs" in refused and "--wait" not in refused
    refused = ds.fails(4, "mlc-start", "theirs")
    assert "bob (his)" in refused
    assert ds("container-adopt", "theirs", "--json").json["error"]["code"] == "gpu.none_free"


def test_the_lists_name_it(ds: CommandLine) -> None:
    theirs(ds)
    assert "1 more created by AIME's tools (theirs): `container-adopt NAME`" in ds.ok("container-list")
    assert "created by AIME's tools (theirs)" in ds.ok("container-list", "--all")
    assert "AIME" not in ds.ok("container-list", who="bob")
    assert "AIME" not in ds.ok("container-list", "--all-users", who="bob")
    assert ds("container-list", "--json").json == {"containers": []}
    ds.ok("container-adopt", "theirs")
    assert "created by AIME's tools" not in ds.ok("container-list")


@pytest.mark.parametrize(("verb", "state"), [("start", "running"), ("stop", "held")])
def test_mlc_commands_adopt_it_and_say_so(ds: CommandLine, verb: str, state: str) -> None:
    theirs(ds, "0", start=verb == "stop")
    assert "Adopted theirs" in ds.ok(f"mlc-{verb}", "theirs", "-s")
    assert ds.state("theirs") == state


def test_mlc_remove_takes_it_away_with_its_image(ds: CommandLine) -> None:
    made = theirs(ds, "0", start=True)
    assert "mlc-stop theirs" in ds.fails(6, "mlc-remove", "theirs", "-Y")
    assert ds.harness.records() == []
    ds.engine.kill(made)
    ds.ok("mlc-remove", "theirs", "-Y")
    assert ds.engine.containers() == []
    assert (
        ds.engine.image(f"{aime_containers.BASE}:{AIME_CONTAINER}") is None
        and ds.engine.image(aime_containers.BASE) is not None
    )


def test_one_on_somebodys_gpu_can_be_stopped_and_removed_all_the_same(ds: CommandLine) -> None:
    ds.ok("container-deploy", "his", "pytorch", who="bob")
    theirs(ds, devices=aime_containers.ALL_GPUS, start=True)
    ds.ok("mlc-stop", "theirs", "-Y")
    assert ds.state("theirs") == "stopped"
    ds.ok("mlc-remove", "theirs", "-Y")
    assert ds.engine.inspect("his._.70002") is not None


@pytest.mark.sampled(2)
@pytest.mark.parametrize("command", ["mlc-start", "container-start", "container-run"])
def test_recreates_an_adopted_container_with_too_many_gpus(ds: CommandLine, command: str) -> None:
    theirs(ds, devices=aime_containers.ALL_GPUS)  # as AIME's tools give them to everybody
    ds.ok("container-adopt", "theirs")
    words, code = (["--", "true"], 125) if command == "container-run" else ([], 3)
    refused = ds.fails(code, command, "theirs", *words)
    assert "container-start theirs --recreate" in refused and "--gpus" not in refused
    ds.ok("container-start", "theirs", "--recreate")
    assert len(ds.harness.record("alice", "theirs").slots) == 1
    assert "running" in ds.ok("container-list")


@pytest.mark.in_process("acts between two looks of a command")
def test_one_that_somebody_adopts_at_the_same_moment_is_found(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs(ds)
    find = queries.find_adoptable

    def adopted_just_before(call: Call, operation: FindAdoptable) -> str:
        monkeypatch.setattr(queries, "find_adoptable", find)
        ds.ok("container-adopt", "theirs")
        return find(call, operation)

    monkeypatch.setattr(queries, "find_adoptable", adopted_just_before)
    assert "theirs" in ds.ok("mlc-start", "theirs")


@pytest.mark.parametrize("name", ["Theirs", "tf1.15.0"])
def test_names_that_only_aime_gives(ds: CommandLine, name: str) -> None:
    theirs(ds, name=name)
    assert f"1 more created by AIME's tools ({name}): `container-adopt" in ds.ok("mlc-stats")
    ds.ok("mlc-start", name)
    assert f"[{name}]" in ds.ok("mlc-list") and f"[{name}]" in ds.ok("mlc-stats")
    assert "container-adopt" not in ds.ok("mlc-stats")
    ds.ok("container-stop", name)
    ds.ok("container-remove", name)
    assert ds.engine.containers() == []


def test_others_containers_need_an_administrator(ds: CommandLine) -> None:
    theirs(ds)
    for verb in ("start", "stop", "remove"):
        ds.fails(5, f"mlc-{verb}", "theirs", who="bob")
        ds.fails(5, f"mlc-{verb}", AIME_CONTAINER, who="bob")
    ds.ok("mlc-start", "theirs", "--user", "alice", who="boss")
    assert ds.state("theirs") == "running"


# how it is shown


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(0), "Up 0 seconds"),
        (timedelta(seconds=59), "Up 59 seconds"),
        (timedelta(minutes=1), "Up 1 minute"),
        (timedelta(hours=23, minutes=59), "Up 23 hours"),
        (timedelta(days=6), "Up 6 days"),
        (timedelta(days=15), "Up 2 weeks"),
    ],
)
def test_the_state_in_dockers_words(harness: Harness, ago: timedelta, words: str) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    harness.gate.start(alice, harness.full("alice"))
    (container,) = harness.gate.containers(alice)
    view = AimeView(container, None, None, None, None, None, None, None, adoptable=False)
    assert docker_status(view, harness.clock() + ago) == words


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "–"), (0, "0B"), (1023, "1023B"), (1 << 20, "1MiB"), (9144030470, "8.516GiB"), (1 << 41, "2TiB")],
)
def test_sizes_as_docker_writes_them(number: int | None, text: str) -> None:
    assert docker_size(number) == text
