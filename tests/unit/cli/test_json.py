"""--json prints exactly one document on stdout, with the keys that scripts rely on."""

from __future__ import annotations

import dataclasses

import pytest

from ds01 import commands
from ds01.error_codes import ERRORS
from ds01.policy.model import Limits
from tests.command_line import CommandLine

ERROR = ["code", "exit", "message", "why", "hint", "data"]
CONTAINER = {
    "name", "container", "user", "uid", "state", "paused", "image", "project", "gpus", "gpus_fixed", "ports",
    "created_at", "started_at", "stopped_at", "held_until", "idle_since", "kept_alive", "deadline", "docker_id",
    "conflict", "ended", "origin",
}  # fmt: skip
SLOT = {"slot", "uuid", "kind", "profile", "gpu", "memory_bytes", "state", "container", "user", "since", "why", "was"}
NAMED = {  # what each command needs besides --json, to have something to do
    "container create": ["fresh", "pytorch"],
    "container deploy": ["fresh", "pytorch"],
    "container cleanup": ["--all"],
    "gpu allocate": ["--container", "fresh"],
    "gpu release": ["--container", "held"],
    "gpu mark-stopped": ["--container", "held"],
    "gpu clear-stopped": ["--container", "running"],
    "gpu validate": ["--container", "held"],
    "container start": ["held"],
    "mlc create": ["fresh", "Pytorch"],
    "mlc start": ["held"],
    "mlc remove": ["held"],
    "dir create": ["thesis"],
    "git init": ["thesis"],
    "readme create": ["thesis"],
    "devcontainer init": ["thesis"],
    "project init": ["thesis", "--no-image", "--no-git"],
    "image create": ["fresh", "--framework", "pytorch"],
    "image update": ["own", "--rebuild"],
    "image delete": ["own"],
    "container extend": ["running", "1h"],
    "container remove": ["held"],
}
WITHOUT_NAME = {"container list", "container stats", "mlc list", "mlc stats"}
# No container matters to these.
WITHOUT_CONTAINERS = ("dir ", "git ", "readme ", "devcontainer ", "project ", "image ", "ssh ", "vscode ", "alias")
OF_THE_MACHINE = ("policy check", "policy import", "doctor", "slices apply", "emergency-stop")  # run elsewhere
MLC_TALK = ("mlc open", "mlc update-sys", "mlc upgrade-sys")
TALK = ("container run", "container exit", "user add", "user setup", "metrics")
WITH_JSON = [words for words in commands.COMMANDS if words not in (*MLC_TALK, *TALK)]


@pytest.mark.sampled(5)
@pytest.mark.parametrize("words", [words for words in WITH_JSON if words not in OF_THE_MACHINE])
def test_one_document_and_the_messages_elsewhere(words: str, ds: CommandLine) -> None:
    if not words.startswith(WITHOUT_CONTAINERS):
        ds.ok("container-deploy", "running", "pytorch")
        ds.ok("container-deploy", "held", "pytorch")
        ds.ok("container-stop", "held")
    acting = words.startswith(("container ", "mlc ")) and words not in WITHOUT_NAME
    named = NAMED.get(words, ["running"] if acting else [])
    who = "alice" if words.split()[0] in ("container", "mlc", "gpu", "limits", "notices") else "root"
    if "own" in named:
        ds.ok("image-create", "own", "--framework", "pytorch", who="root")
    if "fresh" in named and words != "image create":
        ds.ok("container-remove", "held")
    answer = ds(*words.split(), *named, "--json", who="boss" if words == "gpu allocate" else who)
    assert answer.code == 0, answer
    document = answer.json
    if "container" in document:
        assert set(document["container"]) == CONTAINER
    for item in document.get("containers", ()):
        assert words in ("container stats", "mlc stats", "status", "dashboard") or set(item) == CONTAINER
    assert answer.out.isascii(), "a name from outside cannot steer the terminal"


@pytest.mark.sampled(3)
@pytest.mark.sampled(6)
@pytest.mark.parametrize("words", WITH_JSON)
def test_errors_are_documents_too(words: str, ds: CommandLine) -> None:
    for more in (["--no-such-option"], ["--user", "nobody-here"], ["nobody-here", "extra", "words"]):
        answer = ds(*words.split(), *more, "--json")
        error = answer.json["error"]
        assert list(error) == ERROR and error["exit"] == answer.code == ERRORS[error["code"]][0] != 0
        assert "Error" not in answer.err


def test_a_refusal_is_one_document(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch", "--gpus", "2")
    for more in ([], ["--dry-run"]):
        answer = ds("container-create", "two", "pytorch", "--json", *more)
        error = answer.json["error"]
        assert (answer.code, error["exit"], error["code"]) == (3, 3, "quota.gpus")
        assert "max_mig_instances" in error["message"]
        assert list(error) == ERROR
        assert error["data"]["refusal"]["limit"] == 2
    answer = ds("gpu", "validate", "--container", "one", "--gpu", "7", "--json")
    assert (answer.code, answer.json["error"]["exit"], answer.json["error"]["code"]) == (6, 6, "state.invalid")


def test_an_unknown_command_is_a_document(ds: CommandLine) -> None:
    assert ds("container", "lst", "--json").json["error"]["code"] == "usage.invalid"


def test_what_contradicts_one_document(ds: CommandLine) -> None:
    assert ds("container-stats", "--watch", "--json").json["error"]["code"] == "usage.invalid"
    assert ds("container-deploy", "x", "pytorch", "--open", "--json").json["error"]["code"] == "usage.invalid"


def test_the_keys_of_limits(ds: CommandLine) -> None:
    document = ds("limits", "--json").json
    keys = {field.name for field in dataclasses.fields(Limits)}
    assert set(document) == keys | {"user", "group", "priority", "sources"}
    assert document["gpu_hold_after_stop"] == 86400 and document["max_runtime"] is None
    assert document["sources"]["gpu_hold_after_stop"] == "defaults"
    assert ds("limits", "boss", "--json").json["max_mig_instances"] is None, "everybody may look"


def test_the_keys_of_gpu_status(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    for words in (["gpu", "status"], ["gpu", "list"]):
        document = ds(*words, "--json").json
        assert set(document) == {"slots", "driver"} and document["driver"] == "simulated"
        assert [set(slot) for slot in document["slots"]] == [SLOT] * 4
        assert [slot["state"] for slot in document["slots"]] == ["free", "leased", "free", "free"]
    free = ds("gpu", "list", "--free", "--json").json["slots"]
    assert [slot["slot"] for slot in free] == ["0", "1:1", "1:2"]


def test_the_keys_of_a_container(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    ds.harness.clock.advance(hours=1)
    ds.ok("container-stop", "thesis")
    (container,) = ds("container-list", "--json").json["containers"]
    assert container["gpus"] == container["gpus_fixed"]
    assert [set(slot) for slot in container["gpus"]] == [{"slot", "uuid", "kind", "profile", "was"}]
    assert container["stopped_at"] == "2026-11-30T13:00:00Z"
    assert container["held_until"] == "2026-12-01T13:00:00Z"
    assert container["deadline"] == {"at": "2026-12-01T13:00:00Z", "because": "hold"}
    assert (container["idle_since"], container["conflict"]) == (None, None)


def test_an_action_on_one_and_on_many(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch", "--cpu-only")
    ds.ok("container-deploy", "two", "pytorch", "--cpu-only")
    assert ds("container-stop", "one", "--json").json["container"]["name"] == "one"
    assert [item["name"] for item in ds("container-stop", "--all", "--json").json["containers"]] == ["two"]
    assert ds("container-stop", "--all", "--json").json == {"containers": []}
    removed = ds("container-remove", "one", "two", "--json").json["containers"]
    assert [item["state"] for item in removed] == ["removed", "removed"]
    assert ds("container-remove", "--all", "--json").json == {"containers": []}
    assert ds("container-cleanup", "--json").json == {"containers": []}
