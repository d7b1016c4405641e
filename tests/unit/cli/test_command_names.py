"""Command names, help, shared options, exit codes, and odd input."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from typing import Any

import click
import pytest

from ds01 import commands, main
from ds01.cli.session import Session
from tests.command_line import CommandLine

CALLS = tuple(commands.COMMANDS)
PICKING = ("start", "run", "stop", "remove", "retire", "pause", "unpause", "extend")
# Verbs that may ask: which container, whether really, which image.
ASKING = {f"container {verb}" for verb in (*PICKING, "create", "deploy", "cleanup")}

# For people only.
TALK = ("mlc open", "mlc update-sys", "mlc upgrade-sys", "container run", "container exit", "user add", "user setup",
        "metrics")  # fmt: skip
# Verbs that teach, by how their words begin.
GUIDED = (
    "container ",
    "image ",
    "project ",
    "dir ",
    "git ",
    "readme ",
    "devcontainer ",
    "ssh ",
    "vscode ",
    "user setup",
)

OF_THE_MACHINE = (
    "mlc open",
    "policy check",
    "policy import",
    "doctor",
    "slices apply",
    "user add",
    "emergency-stop",
)  # parsed here, run elsewhere


def options_of(words: str) -> set[str]:
    return {name for param in main.load_command(words).params for name in param.opts}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("words", CALLS)
def test_every_command_has_help_with_an_example(words: str, ds: CommandLine) -> None:
    shown = ds.ok(*words.split(), "--help")
    assert shown.startswith(f"Usage: {commands.display_name(words)} ")
    assert re.search(rf"Example: (sudo )?{commands.display_name(words)}\b", shown)
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "\x1b" not in shown


def test_help_has_a_short_name(ds: CommandLine) -> None:
    assert ds.ok("container-list", "-h") == ds.ok("container-list", "--help")


@pytest.mark.parametrize("words", CALLS)
def test_every_command_has_the_options_of_all(words: str) -> None:
    options = options_of(words)
    assert {"-q", "--quiet", "--debug"} <= options
    assert main.load_command(words).make_context(words, [], resilient_parsing=True).help_option_names == [
        "-h",
        "--help",
    ]
    assert ("--json" in options) == (words not in TALK)
    assert ("--yes" in options) == ("-y" in options)
    assert "--yes" in options or words not in ASKING
    assert ("--guided" in options) == words.startswith(GUIDED)
    for param in main.load_command(words).params:
        assert param.nargs in (1, -1)
        if isinstance(param, click.Option):
            assert param.help or param.name == "gpu_type", param
            assert not isinstance(param.flag_value, str), "an option never takes an optional value"


@pytest.mark.sampled(4)
@pytest.mark.parametrize("words", CALLS)
def test_the_example_works(words: str, ds: CommandLine) -> None:
    example = (main.load_command(words).epilog or "").removeprefix("Example: ")
    if "my-thesis" in example and "deploy" not in example and "create" not in example:
        ds.ok("container-deploy", "my-thesis", "pytorch")
    if any(verb in words for verb in ("remove", "start", "mark-stopped", "container start", "gpu release")):
        ds.ok("container-stop", "my-thesis")
    if words in ("git init", "readme create", "devcontainer init"):
        ds.ok("dir-create", "my-thesis", who="root")
    if words in ("image update", "image delete"):
        ds.ok("image-create", "my-thesis", "--framework", "pytorch", who="root")
    called = shlex.split(example.removeprefix("sudo "))
    if words in OF_THE_MACHINE:
        assert main.load_command(words).make_context(words, called[1 + len(words.split()) :])
        return
    who = "alice" if words.split()[0] in ("container", "mlc", "gpu", "limits", "notices") else "root"
    answer = ds(*(called[1:] if called[0] == "ds01" else called), who="boss" if "--user" in called else who)
    assert answer.code == 0, answer


@pytest.mark.parametrize(
    "argv",
    [
        ["/usr/bin/container-list"],
        ["container", "list"],
        ["ds01", "container", "list"],
        ["ds01", "container-list"],
        ["/opt/ds01/main.py", "container-list"],
    ],
)
@pytest.mark.in_process("names the program as it is not")
def test_a_command_has_several_names(argv: list[str], ds: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(argv) == 0
    assert "No containers" in capsys.readouterr().out


def test_all_nouns_can_be_said_to_ds01(ds: CommandLine) -> None:
    assert "4 of 4 free" in ds.ok("gpu", "status") == ds.ok("gpu-status")
    assert ds("gpu").code == 0


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["container-lst"], "container-list"),
        (["contaner", "list"], "container-list"),
        (["container", "lits"], "container-list"),
        (["container", "delpoy", "thesis"], "container-deploy"),
        (["limit"], "ds01 limits"),
        (["gpu", "state"], "ds01 gpu status"),
        (["container-lst", "thesis"], "container-list"),
        (["gpu-mark-stoped"], "ds01 gpu mark-stopped"),
        (["mlc", "strt"], "mlc-start"),
        (["emergency-stp"], "ds01 emergency-stop"),
        (["alias-lst"], "alias-list"),
        (["dir-crate"], "dir-create"),
    ],
)
def test_an_unknown_command_names_the_nearest(words: list[str], near: str, ds: CommandLine) -> None:
    assert f"did you mean `{near}`?" in ds.fails(2, *words)


@pytest.mark.parametrize(
    ("words", "noun"),
    [
        (["container-foo"], "container"),
        (["container", "foo"], "container"),
        (["mlc", "foo"], "mlc"),
        (["gpu-x"], "gpu"),
    ],
)
def test_a_verb_that_is_near_to_none_lists_the_verbs(words: list[str], noun: str, ds: CommandLine) -> None:
    error = ds.fails(2, *words)
    verbs = [known.partition(" ")[2] for known in CALLS if known.startswith(f"{noun} ")]
    assert f"the verbs of {noun} are {', '.join(verbs)}" in error and "did you mean" not in error
    assert f"`{'ds01 ' if noun == 'gpu' else ''}{noun} --help` says what they do" in error


def test_an_unknown_command_near_to_none(ds: CommandLine) -> None:
    assert "`ds01 --help` lists" in ds.fails(2, "xyzzy")
    assert "\x1b" not in ds.fails(2, "\x1b[2J")


def test_the_overviews(ds: CommandLine) -> None:
    for words in ([], ["--help"], ["-h"], ["help"]):
        shown = ds.ok(*words)
        assert all(f"  {commands.display_name(known)}" in shown for known in CALLS)
        assert max(len(line) for line in shown.splitlines()) <= 80
    for words in (["container"], ["container", "--help"], ["container", "help"]):
        shown = ds.ok(*words)
        assert shown.startswith("Usage: container VERB") and "gpu" not in shown
    assert ds.ok("--version").startswith("ds01 0.")


def test_every_command_has_a_line_of_at_most_80_columns(ds: CommandLine) -> None:
    shown = ds.ok("alias-list")
    assert all(f"  {commands.display_name(known)} " in shown for known in CALLS)
    assert [line for line in shown.splitlines() if len(line) > 80] == []


def test_the_names_of_the_symlinks(ds: CommandLine) -> None:
    names = ds.ok("--names").split()
    assert {"container", "container-deploy", "container-list"} <= set(names)
    assert "gpu" not in names and "ds01" not in names
    assert all(re.fullmatch("[a-z][a-z0-9-]*", name) for name in names)


# exit codes


def test_the_code_says_what_kind_of_error_it_is(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    ds.fails(2, "container-list", "--nonsense")
    ds.fails(2, "container-list", "too", "many")
    ds.fails(2, "container-stop", "thesis", "-t", "nan")
    ds.fails(2, "container-stop", "thesis", "--force", "-t", "5")
    ds.fails(2, "container-stop", "thesis", "--all")
    ds.fails(2, "container-remove", "thesis", "--all")
    ds.fails(2, "container-stats", "--interval", "1e400")
    ds.fails(3, "container-create", "more", "pytorch", "--gpus", "3")
    ds.fails(3, "gpu", "allocate", "--container", "x")
    ds.fails(5, "container-stop", "other")
    ds.fails(5, "container-list", "--user", "nobody-here", who="boss")
    ds.fails(5, "limits", "nobody-here")
    ds.fails(6, "container-create", "thesis", "pytorch")
    ds.fails(6, "container-remove", "thesis")
    ds.engine.set_answering(False)
    error = ds.error("container-list")
    assert (error["exit"], error["code"], error["data"]) == (1, "engine.unreachable", {"problem": "not_running"})


def test_no_gpu_free_is_4_and_says_who_has_them_until_when(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS01_GPUS", "simulated:1xA100")
    ds.ok("container-deploy", "thesis", "pytorch")
    ds.ok("container-stop", "thesis")
    error = ds.error("container-deploy", "mine", "pytorch", who="bob")
    assert (error["exit"], error["code"]) == (4, "gpu.none_free")
    assert re.search(r"^0  alice \(thesis\)  held until .*\(1d left\)", error["why"])
    assert re.search(r"free by .*12:00", error["hint"]) and "`ds01 gpu status`" in error["hint"]
    assert error["data"]["refusal"]["earliest"] == "2026-12-01T12:00:00Z"


def test_two_gpus_of_different_kinds_are_not_two_of_one_kind(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS01_GPUS", "simulated:2xA100,1xA100:2x2g.10gb")
    for slot in ("0", "2:0"):
        ds.ok("gpu", "allocate", "--user", "bob", "--container", f"hand{slot[0]}", "--gpu", slot, who="boss")
    for more in ([], ["--gpu-type", "mig"]):
        error = ds.error("container-create", "x", "pytorch", "--gpus", "2", *more)
        assert (error["exit"], error["code"], error["data"]["refusal"]["asked"]) == (4, "gpu.none_free", 2)
        assert "free now: 1, 2:1 (2g.10gb)" in error["why"]


def test_a_free_gpu_of_another_kind_is_named(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS01_GPUS", "simulated:1xA100,1xA100:1x2g.10gb")
    ds.ok("gpu", "allocate", "--user", "bob", "--container", "hand", "--gpu", "1:0", who="boss")
    error = ds.error("container-create", "x", "pytorch", "--profile", "2g.10gb")
    assert (error["exit"], error["code"]) == (4, "gpu.none_free")
    assert "of another kind: 0" in error["why"]


def rule_limit_and_use(error: dict[str, Any]) -> tuple[Any, ...]:
    refusal = error["data"]["refusal"]
    return error["code"], refusal["rule"], refusal["limit"], refusal["used"], refusal["asked"]


def test_quota_refusals_name_rule_limit_use_holder_and_a_way_out(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "pytorch")
    ds.ok("container-deploy", "two", "pytorch")
    ds.ok("container-stop", "two")
    error = ds.error("container-deploy", "three", "pytorch")
    assert (error["exit"], *rule_limit_and_use(error)) == (3, "quota.gpus", "max_mig_instances", 2, 2, 1)
    assert "max_mig_instances" in error["message"]
    assert "alice (one)" in error["why"] and "held until" in error["why"]
    assert "container-retire two" in error["hint"], "the held one is the easiest to give back"
    error = ds.error("container-create", "three", "pytorch", "--gpus", "3")
    assert (error["exit"], error["code"]) == (3, "quota.gpus_per_container")
    assert "max_gpus_per_container" in error["message"]
    ds.ok("container-create", "three", "pytorch", "--cpu-only")
    error = ds.error("container-create", "four", "pytorch", "--cpu-only")
    assert (error["exit"], *rule_limit_and_use(error)[:4]) == (3, "quota.containers", "max_containers_per_user", 3, 3)
    assert "max_containers_per_user" in error["message"] and "container-cleanup" in error["hint"]
    shown = ds.fails(3, "container-create", "four", "pytorch", "--cpu-only")
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.in_process("puts an error into its inside")
def test_interrupted_is_130(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(session: Session) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "gate", property(interrupt))
    assert ds("container-list").code == 130
    answer = ds("container-list", "--json")
    assert (answer.code, answer.json["error"]["exit"], answer.json["error"]["code"]) == (130, 130, "interrupted")
    assert ds("container-run", "thesis", "--", "true").code == 130


@pytest.mark.in_process("no simulated container returns a code of its own")
def test_container_run_returns_the_code_of_the_command(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    ds.ok("container-create", "thesis", "pytorch")
    monkeypatch.setattr("ds01.cli.container.run.enter", lambda session, view, what, root: len(what))
    assert ds("container-run", "thesis", "--", "a", "--json", "--help").code == 3
    assert ds("container-run", "thesis", "--", "--", "-q").code == 2
    assert ds.state() == "running"


def test_failures_of_container_run_itself_are_125(ds: CommandLine) -> None:
    ds.fails(125, "container-run", "thesis", "--", "true")
    ds.fails(125, "container-run", "thesis", "--nonsense", "--", "true")
    assert "--json" not in ds.fails(125, "container-run", "thesis", "--", "true", "--json", "--debug")
    ds.fails(2, "container-run", "thesis")
    ds.fails(2, "container-run", "thesis", "python", "train.py")
    assert "which container" in ds.fails(125, "container-run", "--", "ls")


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("container-create", "→ `container-create NAME --framework pytorch`"),
        ("container-deploy", "→ `container-deploy NAME --framework pytorch`"),
        ("container-extend thesis", "no duration was given"),
        ("container-extend thesis", "→ `container-extend thesis 12h`"),
        ("container-extend nothing", "'nothing' is not a duration"),
        ("container-extend 4h", "container-extend NAME 4h"),
        ("container-extend thesis 0h", "→ `container-extend thesis 12h`"),
        ("container-extend thesis 5", "`container-extend thesis 12h`"),
        ("queue cancel", "which ID?"),
        ("queue cancel", "`ds01 queue` shows the IDs"),
        ("container-create x pytorch --gpus zero", "'zero' is not a whole number from 0"),
        ("container-create x pytorch --gpus -1", "'-1' is not a whole number from 0"),
        ("container-stop thesis --timeout abc", "'abc' is not a whole number from 0 to 86400"),
        ("container-stop thesis --timeout 86401", "'86401' is not a whole number from 0 to 86400"),
        ("gpu allocate --container x --priority 0", "'0' is not a whole number from 1 to 100"),
    ],
)
def test_the_hint_is_what_can_be_typed(words: str, said: str, ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    assert said in ds.fails(2, *words.split())


# odd input


ODD = ["", " ", "-", "..", "/", "a/b", "a\x1b[31mb", "a\nb", "ü" * 5, "x" * 5000, "\udcff", "😀", "._.70001", "x._.9x"]


@pytest.mark.sampled(3)
@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_odd_names_are_errors_in_words(name: str, ds: CommandLine) -> None:
    for words in (
        ["container-create", "--", name, "pytorch"],
        ["container-create", "fine", "--image", name],
        ["container-create", "--cpu-only", "fine", "--framework", name],
        ["container-create", "--", "fine", f"absent/{name}"],
        ["container-create", "fine", "pytorch", "-w", name],
        ["container-create", "fine", "pytorch", "--profile", name],
        ["container-create", "fine", "pytorch", "-p", name],
        ["container-stop", "--", name],
        ["limits", "--", name],
        ["gpu", "allocate", "--container", name],
        ["gpu", "allocate", "--container", "fine", "--gpu", name],
        [name],
    ):
        answer = ds(*words, who="boss" if "allocate" in words else "alice")
        assert answer.code in (0, 1, 2, 3, 4, 5, 6), answer
        assert "Traceback" not in answer.err and "internal error in ds01" not in answer.err, (words, answer)
        assert "\x1b" not in answer.out + answer.err


def test_control_characters_in_a_name_are_shown_as_question_marks(ds: CommandLine) -> None:
    for words in (["container-create", "a\nb", "pytorch"], ["container-stop", "a\nb"], ["a\nb"]):
        first, *more = ds.fails(5 if words[0] == "container-stop" else 2, *words).splitlines()
        assert "a?b" in first and all(line.startswith("  ") for line in more), (words, first, more)
    assert "'a?[31mb'" in ds.fails(2, "container-create", "a\x1b[31mb", "pytorch")


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "setting",
    [
        {"DS01_STATE": "relative"},
        {"DS01_STATE": "/dev/null"},
        {"DS01_STATE": "/proc/1/nothing"},
        {"DS01_CONFIG": "/nonexistent"},
        {"DS01_CONFIG": "/"},
        {"DS01_CONFIG": "/dev/null"},
        {"DS01_ENGINE": "podman"},
        {"DS01_GPUS": "many"},
        {"DS01_GPUS": "simulated:0xA100"},
    ],
    ids=str,
)
def test_settings_that_cannot_be_used_are_errors_in_words(
    setting: dict[str, str], ds: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    for words in (["container-list"], ["container-deploy", "x", "pytorch"], ["limits"]):
        answer = ds(*words)
        assert answer.code in (1, 2, 5), answer  # 5: another folder has other people
        assert answer.err.startswith("Error: ") and "Traceback" not in answer.err
        assert "internal error in ds01" not in answer.err, answer
    assert ds("container-list", "--help").code == 0


def test_a_time_that_is_none_is_an_error(ds: CommandLine) -> None:
    assert ds("container-list", now="yesterday").code == 2


@pytest.mark.in_process("puts an error into its inside")
def test_a_file_that_cannot_be_reached_is_named(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(session: Session) -> Any:
        raise PermissionError(13, "Permission denied", "/var/log/ds01")

    monkeypatch.setattr(Session, "gate", property(denied))
    error = ds.fails(1, "container-list")
    assert "Permission denied" in error and "/var/log/ds01" in error


@pytest.mark.in_process("puts an error into its inside")
def test_what_nobody_thought_of_is_no_traceback_either(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(session: Session) -> Any:
        raise RuntimeError("oops")

    monkeypatch.setattr(Session, "gate", property(broken))
    answer = ds("container-list")
    assert answer.code == 1 and "RuntimeError: oops" in answer.err and "Traceback" not in answer.err
    assert "--debug" in answer.err
    assert "Traceback" in ds("container-list", "--debug").err
    answer = ds("container-list", "--debug", "--json")
    assert answer.json["error"]["code"] == "internal" and "Traceback" in answer.err


def test_every_command_says_what_is_simulated(ds: CommandLine) -> None:
    for words in (
        "container-list", "container-list --json", "container-deploy thesis pytorch -q", "gpu status",
        "limits --docker-args", "container-stop nothing",
    ):  # fmt: skip
        assert ds(*words.split()).announced, words


def test_a_reader_that_has_gone_does_not_stop_the_work(ds: CommandLine) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as gone:
        assert ds("container-deploy", "thesis", "pytorch", stdout=gone).code == 0
    assert ds.state() == "running"


def test_a_full_disk_behind_stdout_is_said(ds: CommandLine) -> None:
    for words in ("container-list", "container-list --json", "container-exit", "--version", "container --help"):
        with open("/dev/full", "w") as full:
            answer = ds(*words.split(), stdout=full)
        assert answer.code == 1 and "cannot be written" in answer.err, words


def test_quiet_says_nothing_but_answers(ds: CommandLine) -> None:
    for words in ("container-deploy thesis pytorch", "container-stop thesis", "container-retire thesis"):
        assert ds.ok(*words.split(), "-q") == ""
    assert json.loads(ds.ok("container-list", "--json", "-q")) == {"containers": []}
    assert ds.fails(5, "container-stop", "thesis", "-q")


@pytest.mark.in_process("it takes /dev/null away from the process")
@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("closed", [False, True])
def test_without_dev_null_nothing_ends_in_a_traceback(memory: bool, closed: bool) -> None:
    script = (
        "import os, sys\n"
        "real, memory = os.open, os.memfd_create\n"
        "def refuse(path, *rest, **more):\n"
        "    if path == os.devnull: raise FileNotFoundError(2, 'No such file or directory', path)\n"
        "    return real(path, *rest, **more)\n"
        "def none(*rest): raise OSError(24, 'Too many open files')\n"
        "os.open = refuse\n"
        f"os.memfd_create = memory if {memory} else none\n"
        f"if {closed}: sys.stdout = None\n"
        "sys.argv = ['ds01', '--version']\n"
        "from ds01.main import main\n"
        "main()\n"
    )
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr, done.stderr
    assert done.returncode in (0, 1)
