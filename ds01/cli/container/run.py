"""container-run"""

from __future__ import annotations

import shlex

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.parser import Command
from ds01.cli.container.steps import startup
from ds01.cli.container.steps.queue_wait import WaitOptions, wait_options
from ds01.cli.container.steps.shell import enter
from ds01.cli.session import Session
from ds01.errors import UsageError


class _CommandAfterDashes(Command):
    """A click command that takes everything after `--`, unparsed, as the command for the container."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own_arguments, command = args, list[str]()
        if "--" in args:
            separator_index = args.index("--")
            own_arguments, command = args[:separator_index], args[separator_index + 1 :]
        try:
            remaining = super().parse_args(ctx, own_arguments)
        except click.UsageError as error:
            if "--" in args or len(args) < 2 or args[0].startswith("-") or args[1].startswith("-"):
                raise
            raise UsageError(
                f"the command for {args[0]} must be after --",
                why=error.format_message().removesuffix("."),
                hint=f"`container-run {args[0]} -- {shlex.join(args[1:])}`",
            ) from None
        ctx.params["inner_command"] = tuple(command)
        return remaining

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND…]"]


@verb(example="container-run my-thesis -- python train.py", json=False, asks=True, kind=_CommandAfterDashes)
@click.argument("name", required=False)
@click.option("--root", is_flag=True, help="As root inside the container, for example to install system packages.")
@wait_options
def command(
    session: Session, waiting: WaitOptions, name: str | None, inner_command: tuple[str, ...], *, root: bool
) -> int:
    """Enter a container with a shell, or run COMMAND in it. Starts it if needed.

    With COMMAND the exit code is the command's, or 125 if ds01 itself fails.
    """
    if not inner_command and not session.has_terminal:
        hint = f"name a command: `container-run {name or 'NAME'} -- COMMAND`"
        raise UsageError("a shell needs a terminal", hint=hint)
    container = session.resolve_container(name, states=("running", "created", "held", "stopped"), verb="run")
    acted = startup.start(session, container, waiting=waiting)
    if not acted.already and not inner_command:
        session.say(f"Started {acted.container.name}.")
    return enter(session, acted.container, inner_command, root=root)
