"""The options that commands share, and the decorator that turns a function into a command."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from ds01.cli.command.parser import Command
from ds01.cli.command.pending_notices import show_pending_notices
from ds01.cli.command.refusals import adapt_error
from ds01.cli.session import Session
from ds01.errors import Ds01Error, UsageError
from ds01.policy.reading.value_types import PROFILE
from ds01.system.settings import Settings

Function = Callable[..., Any]


def command(
    *,
    example: str,
    json: bool = True,
    asks: bool = False,
    guided: bool = True,
    user: bool = True,
    pending: bool = True,
    kind: type[Command] = Command,
) -> Callable[[Function], click.Command]:
    """Turn `function(session, …)` into a click command; its docstring is the help, followed by `example`.

    `json`, `asks`, `guided`, `user`: it takes --json, --yes, --guided, --user. `pending`: the caller's unseen notices
    are shown first. `kind`: the class of the click command.
    """
    shared = [
        click.Option(["--user"], metavar="LOGIN|UID", help="Act for somebody else (administrators)."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document."),
        click.Option(["-y", "--yes"], is_flag=True, help="Ask nothing."),
        click.Option(["--guided"], is_flag=True, help="Explain each step."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Print only errors and the requested output."),
        click.Option(["--debug"], is_flag=True, help="Show where an error came from."),
    ]
    included = {"user": user, "as_json": json, "yes": asks, "guided": guided}

    def decorate(function: Function) -> click.Command:
        @functools.wraps(function)
        @click.pass_obj
        def run(settings: Callable[[], Settings], /, *, debug: bool, quiet: bool, **values: Any) -> Any:
            session_options = {name: values.pop(name) for name in included if name in values}
            session = Session(settings(), quiet=quiet, **session_options)
            if pending:
                show_pending_notices(session)
            try:
                return function(session, **values)
            except Ds01Error as error:
                raise adapt_error(error, session.now(), login=session.login) from error

        context_settings = {"help_option_names": ["-h", "--help"], "max_content_width": 80}
        click_command = click.command(cls=kind, epilog=f"Example: {example}", context_settings=context_settings)(run)
        click_command.params += [
            option for option in shared if included.get(option.name or "", True)
        ]  # after the command's own options
        return click_command

    return decorate


class BoundedInteger(click.IntRange):
    """An integer in [min, max]; invalid input gets ds01's message instead of click's."""

    name = "whole number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number. Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            allowed_range = f"from {self.min}" if self.max is None else f"from {self.min} to {self.max}"
            self.fail(f"'{value}' is not a whole number {allowed_range}", param, ctx)


def command_name() -> str:
    """Return the current command's name, for hints in code that several commands share."""
    return click.get_current_context().command_path


def parse_profile(text: str | None) -> str | None:
    """Return a MIG profile as NVML writes it, whether or not the server has it. Raises UsageError."""
    if text is None:
        return None
    try:
        return str(PROFILE.read(text))
    except ValueError:
        quoted = text if len(text) <= 40 else f"{text[:40]}…"
        hint = "`--profile 2g.20gb`; `ds01 gpu status` shows what there is"
        raise UsageError(f"unknown MIG profile '{quoted}'", why=f"allowed: {PROFILE.allowed}", hint=hint) from None


def option_group(kind: type[Any], options: Sequence[Function]) -> Callable[[Function], Function]:
    """Decorator: collect the click `options` into one `kind` instance (field name = option name), call its `check`, and
    pass it on.
    """
    names = {field.name for field in dataclasses.fields(kind)}

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def run(session: Session, **values: Any) -> Any:
            options_object = kind(**{name: values.pop(name) for name in names})
            options_object.check()
            return function(session, options_object, **values)

        decorated: Function = run
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
