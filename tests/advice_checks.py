"""Checks that the commands and options in messages exist, and parse as printed for the caller.

Active in every test that runs a command. Looked at is what people read: errors with their hints, warnings, notices, and
what commands say on stdout. Commands stand in backquotes, and there each is parsed by its own click command, with the
number of its arguments; a command that stands in a sentence must exist, and so must the options after it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

import click

from ds01 import commands
from ds01.cli.command.advice import load_click_command, parse_command_line

ROOT_ONLY = ("user add", "slices apply", "tick")  # and doctor --fix
EXPLAINED = ("container exit", "aliases", "mlc update-sys", "mlc upgrade-sys")  # tables and pages of text
_QUOTED = re.compile(r"`([^`\n]+)`")
_PROGRAMS = "|".join(
    sorted((re.escape(name) for name in commands.program_names() if "-" in name), key=len, reverse=True)
)
_NOUNS = tuple(f"{noun}-" for noun in commands.DISPATCHERS)
_BARE = re.compile(rf"(?<![\w/.-])(?:{_PROGRAMS}|ds01 [a-z][a-z-]+(?: [a-z][a-z-]+)?)(?![\w.-])([^.,;:()\n]*)")
_OPTION = re.compile(r"(?<![\w`-])--?[a-zA-Z][\w-]*")
_UNKNOWN_COMMAND = re.compile(r"there is no command `[^`]*`")
_POLICY_TEXT = re.compile(r"`[^`\n]*` is not allowed here")  # an error of the policy quotes the file


class BadAdviceError(AssertionError):
    """A message names a command or option that does not exist or does not parse."""


def check_output(typed: Sequence[str], out: str, err: str, *, root: bool = False) -> None:
    """Check the output of the command line `typed`. `root`: the caller is root."""
    found = commands.split_command("ds01", typed)
    words, arguments = found
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if words in EXPLAINED or words not in commands.COMMANDS or {"--help", "-h", "--debug"} & set(own):
        return
    user = _user(own)
    for text in (err, _said(out)):
        check_text(text, words, user=user, root=root)


def check_text(text: str, words: str, *, user: str | None = None, root: bool = False) -> None:
    """Check a message of the command `words`; `user`: the value of its --user."""
    text = _POLICY_TEXT.sub("", _UNKNOWN_COMMAND.sub("", text))
    for line in _QUOTED.findall(text):
        if line.lstrip("-")[:1].isalpha() and line.startswith("-"):
            _check_options(line, words)
        elif parse_command_line(line) is not None:
            check_command(line, user=user, root=root)
        elif line.split()[0].startswith(_NOUNS):
            raise BadAdviceError(f"there is no such command: `{line}`")
    for found in _BARE.finditer(_QUOTED.sub("``", text)):
        _check_bare(found[0], user=user)
    for line in _hints(text):
        plain = _BARE.sub("", _QUOTED.sub("", line))
        for option in _OPTION.findall(plain):
            if option not in _options(words):
                raise BadAdviceError(f"{words} has no option {option}: {line!r}")


def check_command(line: str, *, user: str | None = None, root: bool = False) -> None:
    """Check a command as it would be typed. Raises BadAdviceError."""
    found = parse_command_line(line)
    assert found is not None, line
    words, arguments = found
    if words not in commands.COMMANDS:
        if arguments or words.partition(" ")[2] not in ("", "--help"):
            raise BadAdviceError(f"there is no such command: {line}")
        return
    parser = load_click_command(words)
    try:
        context = parser.make_context(words, [*arguments])
    except click.exceptions.Exit:
        return
    except click.UsageError as error:
        raise BadAdviceError(f"`{line}` does not parse: {error.format_message()}") from None
    if user is not None and "user" in context.params and context.params["user"] != user:
        raise BadAdviceError(f"`{line}` forgets --user {user}")
    if not root and not line.startswith("sudo ") and (words in ROOT_ONLY or context.params.get("fix")):
        raise BadAdviceError(f"`{line}` needs sudo")


def _check_options(line: str, words: str) -> None:
    """Check options without a command: the current command has them and accepts their values."""
    parser, options = load_click_command(words), _options(words)
    first = shlex.split(line)[0].partition("=")[0]
    if first not in options:
        raise BadAdviceError(f"{words} has no option {first}: `{line}`")
    context = click.Context(parser, info_name=words)
    required = [param for param in parser.params if param.required]
    try:
        given, _, order = parser.make_parser(context).parse_args(args=shlex.split(line))
        for param in order:
            if param not in required:
                param.handle_parse_result(context, given, [])
    except click.UsageError as error:
        raise BadAdviceError(f"`{line}` does not parse for {words}: {error.format_message()}") from None


def _check_bare(text: str, *, user: str | None) -> None:
    """Check a command in a sentence: it exists, with the options that follow it."""
    found = parse_command_line(re.sub(r"[^\w\s=-]", " ", text))
    if found is None or found[0] not in commands.COMMANDS:
        alone = parse_command_line(text.split()[0])
        if alone is not None and text.split()[0] != "ds01" and alone[0] in commands.COMMANDS:
            return
        if text.startswith("ds01 ") and text.split()[1] in {words.split()[0] for words in commands.COMMANDS}:
            return
        if text.startswith("ds01 "):
            return  # "ds01 does", a sentence about the program
        raise BadAdviceError(f"there is no such command: {text!r}")
    words, arguments = found
    options = _options(words)
    for option in (word for word in arguments if word.startswith("--") and word != "--"):
        if option.partition("=")[0] not in options:
            raise BadAdviceError(f"{words} has no option {option}: {text!r}")
    if user is not None and "--user" in options and not {"--user"} & set(arguments):
        raise BadAdviceError(f"{text!r} stands outside backquotes, so that --user {user} is not added")


def _options(words: str) -> dict[str, click.Parameter]:
    return {name: param for param in load_click_command(words).params for name in param.opts}


def _hints(text: str) -> list[str]:
    """Return the hints of errors: the text after the arrow, with its continuation lines."""
    hints, inside = [], False
    for line in text.splitlines():
        inside = line.startswith("  → ") or (inside and line.startswith("    "))
        if inside:
            hints.append(line)
    return hints


def _said(out: str) -> str:
    """Return the text of stdout for people; of a JSON document, its error."""
    if not out.startswith("{"):
        return out
    try:
        error = json.loads(out).get("error") or {}
    except ValueError:
        return out
    hint = (error.get("hint") or "").replace("\n", "\n    ")
    return f"Error: {error.get('message')}\n  {error.get('why')}\n  → {hint}"


def _user(own: Sequence[str]) -> str | None:
    for place, word in enumerate(own):
        if word == "--user":
            return own[place + 1] if place + 1 < len(own) else None
        if word.startswith("--user="):
            return word.removeprefix("--user=")
    return None
