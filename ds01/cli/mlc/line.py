"""A command line as the users of AIME's tools type it: -Y, script mode. `-w=DIR` of v1 every command takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ds01.cli.arguments import Command


class AimeLine(Command):
    """A command line as AIME's tools take it."""


def unasked(function: Callable[..., Any]) -> Callable[..., Any]:
    """AIME's ways to say that nothing shall be asked; the command gets them as one `unasked`."""
    return click.option(
        "-Y", "-f", "--force", "-s", "--script", "unasked", is_flag=True, help="Ask nothing, as --yes."
    )(function)
