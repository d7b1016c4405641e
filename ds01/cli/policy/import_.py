"""ds01 policy import"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from shlex import quote

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_count
from ds01.cli.ui.output import print_text
from ds01.errors import InvalidState
from ds01.policy.legacy.convert import import_policy
from ds01.system.clock import server_zone


@verb(
    example="ds01 policy import /opt/ds01-infra/config/resource-limits.yaml --output /tmp/new.yaml",
    guided=False,
    user=False,
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the policy to a new file.")
def command(session: Session, file: Path, output: Path | None) -> None:
    """Write a policy from the resource-limits.yaml of ds01-infra, and say what changed.

    The groups' members, user-overrides.yaml, lifecycle-exemptions.yaml and group-overrides.txt beside FILE are read
    too. The policy goes to stdout or to --output; a key without counterpart becomes a comment.
    """
    imported = import_policy(file, server_zone())
    if output is not None:
        _write(output, imported.text)
    session.write_document(
        {
            "file": str(file),
            "output": None if output is None else str(output),
            "policy": imported.text,
            "changes": [asdict(change) for change in imported.changes],
        }
    )
    if session.as_json:
        return
    if output is None:
        print_text(imported.text.rstrip("\n"))
    # A policy on stdout is for a file or a pipe, so messages go to stderr.
    for change in imported.changes:
        _print_beside_policy(session, str(change), to_stderr=output is None)
    checked = quote(str(output)) if output is not None else "FILE"
    _print_beside_policy(session, f"{format_count(len(imported.changes), 'change')}.", to_stderr=output is None)
    hint = f"Read it, then check it on this server: `ds01 policy check {checked} --against-current`."
    _print_beside_policy(session, hint, to_stderr=output is None)


def _print_beside_policy(session: Session, text: str, *, to_stderr: bool) -> None:
    if not session.quiet:
        print_text(text, error=to_stderr)


def _write(path: Path, text: str) -> None:
    """Write a new file, world-readable as a policy must be. Raises InvalidState, OSError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError as error:
        raise InvalidState(f"{path} already exists", hint="name a new file; nothing was written") from error
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o644)
        file.write(text)
