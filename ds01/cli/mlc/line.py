"""A command line as the users of AIME's tools type it: `-w=DIR` of v1, one dash before long words, -Y, script mode."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

_JOINED = re.compile(r"(-[A-Za-z])=(.*)", re.DOTALL)


class AimeLine(click.Command):
    """A command whose short options take their value after a `=` too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_parted(args)))


def unasked(function: Callable[..., Any]) -> Callable[..., Any]:
    """AIME's ways to say that nothing shall be asked; the command gets them as one `unasked`."""
    return click.option(
        "-Y", "-f", "--force", "-s", "--script", "unasked", is_flag=True, help="Ask nothing, as --yes."
    )(function)


def _parted(args: Sequence[str]) -> Iterator[str]:
    """The words, with `-w=DIR` as two of them: click would take the `=` for a part of the folder's name."""
    for place, word in enumerate(args):
        if word == "--":
            yield from args[place:]
            return
        joined = _JOINED.fullmatch(word)
        yield from joined.groups() if joined is not None else (word,)
