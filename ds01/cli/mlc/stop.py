"""mlc-stop"""

from __future__ import annotations

import click

from ds01.api.containers import StopContainer
from ds01.api.measures import CountProcesses
from ds01.cli.command.definition import command as verb
from ds01.cli.container.steps.stop_progress import follow_stop
from ds01.cli.container.stop import report_outcome
from ds01.cli.mlc.command_line import AimeCommand, assume_yes_option
from ds01.cli.mlc.target import resolve_target
from ds01.cli.session import Session
from ds01.cli.ui import formats, prompts


@verb(example="mlc-stop my-thesis -Y", asks=True, guided=False, kind=AimeCommand)
@click.argument("name", required=False)
@assume_yes_option
def command(session: Session, name: str | None, assume_yes: bool) -> None:
    """Stop a container, as container-stop does: its programs get time to save, its GPU is held for a while.

    A container created by AIME's tools is first taken over, as by container-adopt.
    """
    session.yes |= assume_yes
    target = resolve_target(session, name, verb="stop", running=True)
    count = 0 if target.adoptable else session.run(CountProcesses(target.container))
    ends = formats.describe_ending_processes(count) if count else "all programs in it end"
    if session.interactive and not prompts.confirm(f"Stop {target.name}? ({ends})", default=False):
        session.say(f"Nothing was stopped: {target.name} goes on running.")
        return
    if count:
        session.say(f"Stopping {target.name}: {ends} …")
    container = target.ensure_adopted(session, ending=True)
    steps = session.stream(StopContainer(container))
    acted = follow_stop(session, container, steps, retry_command=f"mlc-stop {target.name}")
    report_outcome(session, acted, released=False)
    for warning in acted.warnings:
        session.warn(warning)
    session.write_document({"container": acted.container})
