"""What messages advise: options of the command at hand, and commands that can be typed as they stand.

A message puts each command into backquotes. Before it is shown, `--user` is added to those that accept it if the
command at hand had it: without it an administrator would act on containers of their own.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib import import_module

import click

from ds01.commands import COMMANDS, names, split

_QUOTED = re.compile(r"`([^`\n]+)`")
PROGRAM = "ds01"
_USER = "ds01.user"  # the key in click's `meta` for whom the command acts, if no --user said it


@dataclass(frozen=True)
class Offer:
    """What the command at hand can be told: its name as typed, its options, and whom --user names."""

    program: str = PROGRAM
    options: frozenset[str] = frozenset()
    user: str | None = None

    def has(self, option: str) -> bool:
        """Whether the command at hand has this option."""
        return option in self.options


def offer() -> Offer:
    """Return what the command at hand offers; nothing outside of a command."""
    context = click.get_current_context(silent=True)
    if context is None:
        return Offer()
    options = frozenset(name for param in context.command.params for name in param.opts)
    return Offer(context.command_path, options, context.params.get("user") or context.meta.get(_USER))


def act_for(user: str) -> None:
    """Let commands in messages be for `user`, as if --user had named them."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_USER] = user


def typeable(text: str, *, login: str | None = None) -> str:
    """Return a message whose commands can be typed as they stand by whoever typed the command at hand.

    `login`: whose it is, for a command that an administrator has to type for them.
    """
    user = offer().user
    if user is None and (login is None or "LOGIN" not in text):
        return text
    return _QUOTED.sub(lambda found: f"`{_completed(found[1], user, login)}`", text)


def command_of(line: str) -> tuple[str, list[str]] | None:
    """Return the words and arguments of a ds01 command as it would be typed; None for anything else."""
    try:
        typed = shlex.split(line)
    except ValueError:
        return None
    if typed[:1] == ["sudo"]:
        typed = typed[1:]
    if not typed or (typed[0] != PROGRAM and typed[0] not in names()):
        return None
    return split(typed[0], typed[1:])


def parser_of(words: str) -> click.Command:
    """Return the click command behind some words of the table."""
    command: click.Command = import_module(COMMANDS[words][0]).command
    return command


def _completed(line: str, user: str | None, login: str | None) -> str:
    found = command_of(line)
    if found is None or found[0] not in COMMANDS:
        return line
    if login is not None:
        line = re.sub(r"\bLOGIN\b", shlex.quote(login), line)
    words, arguments = found
    options = {name for param in parser_of(words).params for name in param.opts}
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if user is None or "--user" not in options or any(word.partition("=")[0] == "--user" for word in own):
        return line
    before, dashes, inside = line.partition(" -- ")
    return f"{before} --user {shlex.quote(user)}{dashes}{inside}"
