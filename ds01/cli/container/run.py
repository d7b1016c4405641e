"""container-run"""

from __future__ import annotations

import click

from ds01.cli.arguments import Command
from ds01.cli.container import starting
from ds01.cli.container.entering import enter
from ds01.cli.container.waiting import WaitOptions, wait_options
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.errors import WrongUse


class _AfterDashes(Command):
    """A command line with one for the container in it: all that stands after `--`, whatever it looks like."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, command = args, list[str]()
        if "--" in args:
            place = args.index("--")
            own, command = args[:place], args[place + 1 :]
        left = super().parse_args(ctx, own)
        ctx.params["what"] = tuple(command)
        return left

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND…]"]


@verb(example="container-run my-thesis -- python train.py", json=False, asks=True, kind=_AfterDashes)
@click.argument("name", required=False)
@click.option("--root", is_flag=True, help="As root of the container: to install system packages, say.")
@wait_options
def command(session: Session, waiting: WaitOptions, name: str | None, what: tuple[str, ...], *, root: bool) -> int:
    """Enter a container with a shell, or run COMMAND in it. Starts it if needed.

    With COMMAND the exit code is the command's, and 125 for a failure of ds01's own.
    """
    if not what and not session.terminal:
        hint = f"say what to run: `container-run {name or 'NAME'} -- COMMAND`"
        raise WrongUse("a shell needs a terminal", hint=hint)
    container = session.find(name, states=("running", "created", "held", "stopped"), verb="run")
    acted = starting.start(session, container, waiting=waiting)
    if not acted.already and not what:
        session.say(f"Started {acted.container.name}.")
    return enter(session, acted.container, what, root=root)
