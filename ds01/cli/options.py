"""The options that commands share, and the decorator that makes a function a command."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from ds01.cli.session import Session
from ds01.system.settings import Settings

Function = Callable[..., Any]


def command(
    *, example: str, json: bool = True, asks: bool = False, guided: bool = True, user: bool = True
) -> Callable[[Function], click.Command]:
    """Make `function(session, …)` a click command; its docstring is the help, `example` stands below it.

    `json`: it reads, or acts on containers. `asks`: it takes --yes. `guided`: it can explain its steps.
    """
    options = [
        click.option("--user", metavar="LOGIN|UID", help="Act for somebody else (administrators).") if user else None,
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document.") if json else None,
        click.option("-y", "--yes", is_flag=True, help="Ask nothing.") if asks else None,
        click.option("--guided", is_flag=True, help="Explain each step.") if guided else None,
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
        click.option("--debug", is_flag=True, help="Show where an error came from."),
    ]

    def make(function: Function) -> click.Command:
        @functools.wraps(function)
        @click.pass_obj
        def run(settings: Settings, /, *, debug: bool, **given: Any) -> Any:
            shared = {name: given.pop(name) for name in ("user", "as_json", "yes", "guided", "quiet") if name in given}
            return function(Session(settings, **shared), **given)

        wrapped: Function = run
        for option in reversed([option for option in options if option is not None]):
            wrapped = option(wrapped)
        settings = {"help_option_names": ["-h", "--help"], "max_content_width": 80}
        return click.command(epilog=f"Example: {example}", context_settings=settings)(wrapped)

    return make
