"""Commands in messages can be typed as they stand: for every refusal in every command, and with --user."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import click
import pytest

from ds01 import commands, main
from ds01.api.refusals import Alternatives
from ds01.cli.command.advice import CommandContext, complete_hints
from ds01.cli.command.refusals import describe_end_of_wait, describe_missing, describe_refusal
from ds01.gpus.model import Claim, GpuRequest, GpuType, Refusal, Rule
from tests.advice_checks import BadAdviceError, check_output, check_text
from tests.command_line import CommandLine
from tests.harness import NOON

# All commands that lease slots, or start something on slots.
LEASING = (
    "container create", "container deploy", "container start", "container run", "container adopt", "project init",
    "user setup", "image update", "mlc create", "mlc start", "mlc open", "gpu allocate",
)  # fmt: skip
CLAIMS = (
    (),
    (Claim("0:1", "leased", "x._.70002", "bob", NOON, NOON + timedelta(hours=1)),),
    (Claim("0:1", "held", "x._.70001", "alice"), Claim("0:2", "leased", "y._.70001", "alice")),
    (Claim("0:1", "leased", "reserve._.70001", "alice", manual=True),),
    (Claim("0", "busy_outside", why="process python"), Claim("1", "reserved", user="@staff"), Claim("2", "lost")),
)
WAYS = (
    None,
    Alternatives("thesis", recreate=True, free=True, cpu_only=False, gpus=1),
    Alternatives("thesis", recreate=True, free=True, cpu_only=True, gpus=0),
    Alternatives("thesis", recreate=True, free=False, cpu_only=False, gpus=1),
    Alternatives("thesis", recreate=False, free=False, cpu_only=False, gpus=2),
    Alternatives("thesis", recreate=False, free=False, cpu_only=False, gpus=0),
)


def offer_of(words: str, user: str | None = None) -> CommandContext:
    options = frozenset(name for param in main.load_command(words).params for name in param.opts)
    return CommandContext(commands.display_name(words), options, user)


def shown(words: str, parts: tuple[str, str | None, str | None], user: str | None) -> str:
    """What people read of a refusal, with --user as the command at hand had it."""
    command = main.load_command(words)
    with click.Context(command, info_name=commands.display_name(words)) as context:
        context.params["user"] = user
        return complete_hints(f"Error: {parts[0]}\n  {parts[1]}\n  → {parts[2]}")


def refusals() -> list[Refusal]:
    return [
        Refusal(rule, rule is Rule.NONE_FREE, asked, limit, used, claims, earliest)
        for rule, (asked, limit, used), claims, earliest in product(
            Rule, ((1, 0, 0), (1, 1, 1), (2, 1, 0), (1, None, None)), CLAIMS, (None, NOON + timedelta(hours=1))
        )
    ]


@pytest.mark.parametrize("user", [None, "alice", "70001"])
@pytest.mark.parametrize("words", LEASING)
def test_every_refusal_advises_only_what_the_caller_can_type(words: str, user: str | None) -> None:
    offer, every = offer_of(words), set()
    for refusal, ways in product(refusals(), WAYS):
        parts = describe_refusal(refusal, NOON, offer, ways)
        assert parts[2], (refusal, ways)
        every.add(parts)
    for parts in every:
        check_text(shown(words, parts, user), words, user=user)


@pytest.mark.parametrize("words", LEASING)
def test_refusals_of_missing_gpus_and_ended_waits_advise_too(words: str) -> None:
    for profile, kind in product((None, "9g.90gb"), GpuType):
        refusal = Refusal(Rule.NO_GPUS, False, 2, limit=1)
        for kinds in ({}, {"full": 1}, {"full": 1, "2g.10gb": 3}):
            parts = describe_missing(refusal, GpuRequest(2, kind, profile), kinds, offer_of(words))
            check_text(shown(words, parts, "alice"), words, user="alice")
    if "--wait" in offer_of(words).options:
        parts = describe_end_of_wait(Refusal(Rule.NONE_FREE, True, 1), "2h", NOON)
        check_text(shown(words, parts, "alice"), words, user="alice")


def test_only_commands_that_can_wait_advise_to() -> None:
    refusal = Refusal(Rule.NONE_FREE, True, 1)
    for words in LEASING:
        hint = describe_refusal(refusal, NOON, offer_of(words))[2] or ""
        assert ("--wait" in hint) == ("--wait" in offer_of(words).options), words


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("`container-start x`", "`container-start x --user alice`"),
        ("first `container-stop x`, then `container-start x --recreate`.",
         "first `container-stop x --user alice`, then `container-start x --recreate --user alice`."),
        ("`container-run x -- nvidia-smi --user`", "`container-run x --user alice -- nvidia-smi --user`"),
        ("`container-list --user bob`", "`container-list --user bob`"),
        ("`ds01 gpu status`", "`ds01 gpu status`"),  # it has no --user
        ("`ds01 gpu release --container x`", "`ds01 gpu release --container x --user alice`"),
        ("`docker rm x`, `--wait`, `no such thing`", "`docker rm x`, `--wait`, `no such thing`"),
        ("`it's`", "`it's`"),
    ],
)  # fmt: skip
def test_hints_keep_the_user_where_the_command_takes_one(text: str, typed: str) -> None:
    command = main.load_command("container start")
    with click.Context(command, info_name="container-start") as context:
        context.params["user"] = "alice"
        assert complete_hints(text) == typed
        context.params["user"] = None
        assert complete_hints(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "`container-start --recreate x y`",
        "`container-start x --rekreate`",
        "`container-strat x`",
        "`ds01 gpu relase --container x`",
        "Error: no\n  → `--recreate` helps",
        "Error: no\n  → --recreate helps",
        "`container-extend x`? no: `container-extend`",
        "`ds01 user add alice`",
        "container-start x --rekreate makes it",
    ],
)
def test_the_check_finds_advice_that_does_not_parse(text: str) -> None:
    with pytest.raises(BadAdviceError):
        check_text(text, "container create")


def test_the_check_misses_a_forgotten_user() -> None:
    for text in ("`container-start x`", "Started. container-start x starts it again"):
        with pytest.raises(BadAdviceError):
            check_output(["container-stop", "x", "--user", "alice"], text, "")


def test_an_administrators_hints_can_be_typed_as_they_stand(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--gpus", "2")
    refused = ds.fails(3, "container-deploy", "more", "pytorch", "--user", "alice", who="boss")
    assert "`container-retire thesis --user alice`" in refused
    assert "`container-run thesis --user alice`" in ds.fails(
        6, "container-deploy", "thesis", "pytorch", "--user", "alice", who="boss"
    )
    said = ds.ok("container-stop", "thesis", "--user", "70001", who="boss")
    assert "`container-stop thesis --release --user 70001`" in said


def test_a_full_name_makes_hints_be_for_its_owner(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch")
    said = ds.ok("container-stop", ds.harness.full("alice"), who="boss")
    assert "`container-stop thesis --release --user 70001`" in said


def test_what_is_roots_is_said_with_all_its_words(ds: CommandLine) -> None:
    ds.use_real_identity()
    assert "`sudo ds01 user add alice`" in ds.fails(3, "user", "add", "alice", who="bob")


def test_limits_are_named_with_their_user(ds: CommandLine) -> None:
    assert "`ds01 limits alice`" in ds.ok("check-limits", "--user", "alice", who="boss")
    assert "`ds01 limits`" in ds.ok("check-limits")


def test_a_missing_container_names_the_owner(ds: CommandLine) -> None:
    assert "you have none" in ds.fails(5, "container-start", "x")
    assert "that user has none" in ds.fails(5, "container-start", "x", "--user", "alice", who="boss")
    ds.ok("container-create", "t", "pytorch")
    assert "yours are t" in ds.fails(5, "container-start", "x")
    assert "alice has t" in ds.fails(5, "container-start", "x", "--user", "alice", who="boss")
