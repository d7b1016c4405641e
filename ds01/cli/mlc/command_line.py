"""A command line as the users of AIME's tools type it: -Y, script mode. `-w=DIR` of v1 every command takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ds01.cli.command.parser import Command


class AimeCommand(Command):
    """A command line as AIME's tools take it: a long option may be cut short as long as it is clear."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words. Raises click.UsageError."""
        long_options = {name for param in self.get_params(ctx) for name in param.opts if name.startswith("--")}
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*(_complete_option(word, long_options) for word in args[:end]), *args[end:]])


def _complete_option(word: str, long_options: set[str]) -> str:
    """A word with its option's whole name, if it is the beginning of one option's only."""
    name, equals, value = word.partition("=")
    matches = [option for option in long_options if option.startswith(name)]
    if not name.startswith("--") or len(name) < 3 or name in long_options or len(matches) != 1:
        return word
    return f"{matches[0]}{equals}{value}"


def assume_yes_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """AIME's ways to say that nothing shall be asked; the command gets them as one `assume_yes`."""
    return click.option(
        "-Y", "-f", "--force", "-s", "--script", "assume_yes", is_flag=True, help="Ask nothing, as --yes."
    )(function)
