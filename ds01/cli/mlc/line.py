"""A command line as the users of AIME's tools type it: -Y, script mode. `-w=DIR` of v1 every command takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ds01.cli.arguments import Command


class AimeLine(Command):
    """A command line as AIME's tools take it: a long option may be cut short as long as it is clear."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words. Raises click.UsageError."""
        known = {name for param in self.get_params(ctx) for name in param.opts if name.startswith("--")}
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*(_whole(word, known) for word in args[:end]), *args[end:]])


def _whole(word: str, known: set[str]) -> str:
    """A word with its option's whole name, if it is the beginning of one option's only."""
    name, equals, value = word.partition("=")
    fitting = [option for option in known if option.startswith(name)]
    if not name.startswith("--") or len(name) < 3 or name in known or len(fitting) != 1:
        return word
    return f"{fitting[0]}{equals}{value}"


def unasked(function: Callable[..., Any]) -> Callable[..., Any]:
    """AIME's ways to say that nothing shall be asked; the command gets them as one `unasked`."""
    return click.option(
        "-Y", "-f", "--force", "-s", "--script", "unasked", is_flag=True, help="Ask nothing, as --yes."
    )(function)
