"""mlc-start"""

from __future__ import annotations

import shlex

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.container.steps import startup
from ds01.cli.container.steps.shell import run_attached
from ds01.cli.mlc.command_line import AimeCommand, assume_yes_option
from ds01.cli.mlc.target import resolve_target
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_gpus
from ds01.errors import UsageError

# The program inside outlives the shell that starts it, and ignores the SIGHUP of a closing terminal. Its output is
# discarded, as with AIME.
_DETACHED = ("sh", "-c", 'trap "" HUP; sh -c "$1" </dev/null >/dev/null 2>&1 &', "sh")


@verb(example='mlc-start my-thesis "python train.py" -d', asks=True, guided=False, kind=AimeCommand)
@click.argument("name", required=False)
@click.argument("command_words", nargs=-1, metavar="[COMMAND]")
@click.option("-d", "--detach", is_flag=True, help="Let COMMAND run in the background, without its output.")
@assume_yes_option
def command(
    session: Session, name: str | None, command_words: tuple[str, ...], detach: bool, assume_yes: bool
) -> int | None:
    """Start a container in the background, as container-start does, and run COMMAND in it.

    A container created by AIME's tools is first taken over, as by container-adopt. The exit code is COMMAND's.
    """
    if command_words and session.as_json and not detach:
        raise UsageError("--json cannot be combined with the output of COMMAND", hint="-d suppresses the output")
    session.yes |= assume_yes
    acted = startup.start(session, resolve_target(session, name, verb="start", running=False).ensure_adopted(session))
    view = acted.container
    gpus = f" on GPU {format_gpus(view.gpus)}" if view.gpus else ""
    session.say(f"[{view.name}] is already running{gpus}." if acted.already else f"[{view.name}] started{gpus}.")
    code = None
    if command_words:
        command_text = command_words[0] if len(command_words) == 1 else shlex.join(command_words)
        code = run_attached(session, view, (*_DETACHED, command_text) if detach else ("sh", "-c", command_text))
    session.write_document({"container": view})
    return code
