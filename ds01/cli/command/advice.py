"""Hints in messages: options that the current command has, and commands that can be typed as they stand.

A message puts each command into backquotes. If the current command was given `--user`, it is added to each of them that
accepts it: otherwise an administrator who follows the hint would act on containers of their own.
"""

from __future__ import annotations

import re
import shlex
from importlib import import_module

import click

from ds01.commands import COMMANDS, program_names, split_command
from ds01.dataclass import dataclass

_QUOTED_COMMAND = re.compile(r"`([^`\n]+)`")
PROGRAM = "ds01"
_OWNER_KEY = "ds01.user"  # the key in click's `meta` of the user for whom the command acts, without --user


@dataclass(frozen=True)
class CommandContext:
    """The current command: its name as typed, its options, and the user that --user names."""

    program: str = PROGRAM
    options: frozenset[str] = frozenset()
    user: str | None = None

    def has(self, option: str) -> bool:
        """Return whether the current command has this option."""
        return option in self.options


def current_context() -> CommandContext:
    """Return the context of the current command; an empty one outside of a command."""
    context = click.get_current_context(silent=True)
    if context is None:
        return CommandContext()
    options = frozenset(name for param in context.command.params for name in param.opts)
    return CommandContext(context.command_path, options, context.params.get("user") or context.meta.get(_OWNER_KEY))


def set_hint_owner(user: str) -> None:
    """Complete commands in messages with `--user USER`, as if the option had been typed."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_OWNER_KEY] = user


def complete_hints(text: str, *, login: str | None = None) -> str:
    """Complete the commands in a message so that the user can type them as they stand.

    `login`: the caller's, which replaces LOGIN in commands that an administrator has to type for them.
    """
    user = current_context().user
    if user is None and (login is None or "LOGIN" not in text):
        return text
    return _QUOTED_COMMAND.sub(lambda match: f"`{_complete_command(match[1], user, login)}`", text)


def parse_command_line(line: str) -> tuple[str, list[str]] | None:
    """Return the words and arguments of a ds01 command as it would be typed; None for anything else."""
    try:
        typed = shlex.split(line)
    except ValueError:
        return None
    if typed[:1] == ["sudo"]:
        typed = typed[1:]
    if not typed or (typed[0] != PROGRAM and typed[0] not in program_names()):
        return None
    return split_command(typed[0], typed[1:])


def load_click_command(words: str) -> click.Command:
    """Return the click command for an entry of the command table."""
    command: click.Command = import_module(COMMANDS[words][0]).command
    return command


def _complete_command(line: str, user: str | None, login: str | None) -> str:
    parsed = parse_command_line(line)
    if parsed is None or parsed[0] not in COMMANDS:
        return line
    if login is not None:
        line = re.sub(r"\bLOGIN\b", shlex.quote(login), line)
    words, arguments = parsed
    options = {name for param in load_click_command(words).params for name in param.opts}
    own_arguments = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if user is None or "--user" not in options or any(word.partition("=")[0] == "--user" for word in own_arguments):
        return line
    before, separator, inner_command = line.partition(" -- ")
    return f"{before} --user {shlex.quote(user)}{separator}{inner_command}"
