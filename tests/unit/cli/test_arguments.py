"""How option values are typed: after a space, after `=`, or joined to the letter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from ds01 import commands, main
from ds01.cli.command.parser import split_values
from tests.command_line import CommandLine

VALUES = {"-n": "5", "-t": "7", "-p": "8888", "-g": "1"}  # what fits options that are not plain text


def short_options_with_a_value() -> list[tuple[str, str, str]]:
    """Return every command's words, short option and parameter name."""
    return [
        (words, name, param.name or "")
        for words in commands.COMMANDS
        for param in main.load_command(words).params
        if isinstance(param, click.Option) and not (param.is_flag or param.count)
        for name in param.opts
        if not name.startswith("--")
    ]


def value_of(words: str, args: Sequence[str], parameter: str) -> object:
    command = main.load_command(words)
    required = [__file__ for param in command.params if isinstance(param, click.Argument) and param.required]
    context = command.make_context(words, [*args, *required], resilient_parsing=False)
    return context.params[parameter]


@pytest.mark.parametrize(("words", "option", "parameter"), short_options_with_a_value())
def test_every_short_option_takes_its_value_in_both_forms(words: str, option: str, parameter: str) -> None:
    value = VALUES.get(option, "some/dir")
    spaced = value_of(words, [option, value], parameter)
    assert value_of(words, [f"{option}={value}"], parameter) == spaced
    assert "=" not in str(spaced)


def test_there_are_such_options() -> None:
    assert {("container create", "-w"), ("container deploy", "-p"), ("container stop", "-t"), ("mlc create", "-g")} <= {
        (words, option) for words, option, _ in short_options_with_a_value()
    }


def test_the_workspace_after_an_equals_sign_is_what_is_mounted(ds: CommandLine) -> None:
    place = ds.harness.home("alice") / "workspace" / "thesis"
    assert ds("container-create", "x", "pytorch", f"-w={place}", "--json").code == 0
    assert ds.harness.record("alice", "x").workspace == str(place)
    assert not Path("=").exists()


def test_a_home_after_an_equals_sign_is_the_owners(ds: CommandLine) -> None:
    ds.ok("container-create", "x", "pytorch", "-w=~/workspace/thesis")
    assert ds.harness.record("alice", "x").workspace == f"{ds.harness.home('alice')}/workspace/thesis"


def test_an_equals_sign_without_a_directory_is_wrong_use(ds: CommandLine) -> None:
    assert "the name of the directory is empty" in ds.fails(2, "container-create", "x", "pytorch", "-w=")


@pytest.mark.parametrize("word", ["-f=yes", "-af=yes"])
def test_a_flag_with_a_value_is_wrong_use(word: str, ds: CommandLine) -> None:
    assert "'-f' does not take a value" in ds.fails(2, "container-stop", word)


def parts(*args: str, words: str = "container stop") -> list[str]:
    return list(split_values(args, main.load_command(words).params))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["-t=5"], ["-t", "5"]),
        (["-ft=5"], ["-ft", "5"]),
        (["-t5"], ["-t5"]),
        (["-t", "-t=5"], ["-t", "-t=5"]),
        (["-ft", "-t=5"], ["-ft", "-t=5"]),
        (["--timeout", "-t=5"], ["--timeout", "-t=5"]),
        (["--timeout=-t=5", "-t=5"], ["--timeout=-t=5", "-t", "5"]),
        (["--", "-t=5"], ["--", "-t=5"]),
        (["a=b", "-", "-=", "-z=1"], ["a=b", "-", "-=", "-z=1"]),
        (["-t==5"], ["-t", "=5"]),
        (["-t"], ["-t"]),
    ],
)
def test_only_the_value_of_a_short_option_is_parted(args: list[str], expected: list[str]) -> None:
    assert parts(*args) == expected


def test_the_value_of_a_reason_may_look_like_an_option() -> None:
    given = parts("thesis", "12h", "--reason", "-w=x", words="container extend")
    assert given == ["thesis", "12h", "--reason", "-w=x"]


def test_long_names_with_one_dash_keep_their_form() -> None:
    assert parts("-ng=2", "-arch=CUDA_AMPERE", "-w=x", words="mlc create") == [
        "-ng=2", "-arch=CUDA_AMPERE", "-w", "x",
    ]  # fmt: skip


def test_the_command_inside_is_left_alone(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    assert ds("container-run", "thesis", "--", "env", "-w=x").code == 0
