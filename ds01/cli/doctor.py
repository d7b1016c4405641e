"""ds01 doctor"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.privileges import require_root
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_count
from ds01.host.checks.doctor import exit_code
from ds01.host.checks.findings import Finding, Level
from ds01.host.commands.doctor import run_doctor

MARKS = {Level.OK: "ok      ", Level.WARNING: "warning ", Level.ERROR: "ERROR   "}


@verb(example="sudo ds01 doctor --fix", guided=False, user=False)
@click.option("--fix", is_flag=True, help="Fix what can be fixed without stopping anything (root).")
def command(session: Session, fix: bool) -> int:
    """Check the whole installation, and that records, Docker, GPUs and slices agree.

    Exit code 0: no findings, 1: warnings, 2: errors. Without root, checks that need it are left out.
    """
    if fix:
        require_root(session, "the installation")
    session.announce_simulation()
    findings = run_doctor(session.installation, session.actor, fix=fix)
    session.write_document({"findings": [finding.document for finding in findings]})
    if not session.as_json:
        _show(session, findings)
    return exit_code(findings)


def _show(session: Session, findings: Sequence[Finding]) -> None:
    for finding in findings:
        mark = "fixed   " if finding.fixed else MARKS[finding.level]
        session.say(f"{mark}{finding.check}: {finding.found}")
        if finding.level is not Level.OK and not finding.fixed:
            session.say(
                textwrap.indent(
                    "\n".join(filter(None, (finding.why, f"→ {finding.hint}" if finding.hint else ""))), " " * 10
                )
            )
    unfixed = [finding for finding in findings if finding.level is not Level.OK and not finding.fixed]
    errors = sum(finding.level is Level.ERROR for finding in unfixed)
    if not unfixed:
        session.say("All is well.")
        return
    fixable = sum(bool(finding.fixes) for finding in unfixed)
    found = f"{format_count(errors, 'error')}, {format_count(len(unfixed) - errors, 'warning')}"
    session.say(f"{found}; `sudo ds01 doctor --fix` fixes {fixable} of them.")
