"""The command line of AIME's tools: abbreviated options, -Y, script mode. (All commands accept `-w=DIR` of v1.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ds01.cli.command.parser import Command


class AimeCommand(Command):
    """A command that accepts abbreviated long options, if they are unambiguous, as AIME's tools do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words. Raises click.UsageError."""
        long_options = {name for param in self.get_params(ctx) for name in param.opts if name.startswith("--")}
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*(_complete_option(word, long_options) for word in args[:end]), *args[end:]])


def _complete_option(word: str, long_options: set[str]) -> str:
    """Complete an abbreviated long option, if it is the beginning of only one option."""
    name, equals, value = word.partition("=")
    matches = [option for option in long_options if option.startswith(name)]
    if not name.startswith("--") or len(name) < 3 or name in long_options or len(matches) != 1:
        return word
    return f"{matches[0]}{equals}{value}"


def assume_yes_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add AIME's options for asking nothing; the command gets them as `assume_yes`."""
    return click.option(
        "-Y", "-f", "--force", "-s", "--script", "assume_yes", is_flag=True, help="Ask nothing, like --yes."
    )(function)
