"""mlc-start"""

from __future__ import annotations

import shlex

import click

from ds01.cli.container import starting
from ds01.cli.container.entering import join
from ds01.cli.mlc.line import AimeLine, unasked
from ds01.cli.mlc.meant import find
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import gpu_names
from ds01.errors import WrongUse

# The program inside outlives the shell that starts it, and the terminal, whose end would be a SIGHUP. Its output goes
# nowhere, as with AIME.
_DETACHED = ("sh", "-c", 'trap "" HUP; sh -c "$1" </dev/null >/dev/null 2>&1 &', "sh")


@verb(example='mlc-start my-thesis "python train.py" -d', asks=True, guided=False, kind=AimeLine)
@click.argument("name", required=False)
@click.argument("what", nargs=-1, metavar="[COMMAND]")
@click.option("-d", "--detach", is_flag=True, help="Let COMMAND run in the background, without its output.")
@unasked
def command(session: Session, name: str | None, what: tuple[str, ...], detach: bool, unasked: bool) -> int | None:
    """Start a container in the background, as container-start does, and run COMMAND in it.

    One of AIME's own tools is adopted first. The exit code is COMMAND's.
    """
    if what and session.as_json and not detach:
        raise WrongUse("a COMMAND with its output, and --json", hint="-d suppresses the output")
    session.yes |= unasked
    acted = starting.start(session, find(session, name, verb="start", running=False).ours(session))
    view = acted.container
    gpus = f" on GPU {gpu_names(view.gpus)}" if view.gpus else ""
    session.say(f"[{view.name}] is already running{gpus}." if acted.already else f"[{view.name}] started{gpus}.")
    code = None
    if what:
        line = what[0] if len(what) == 1 else shlex.join(what)
        code = join(session, view, (*_DETACHED, line) if detach else ("sh", "-c", line))
    session.answer({"container": view})
    return code
