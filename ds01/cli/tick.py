"""ds01 tick"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime

import click

from ds01.automation.last_good_policy import load_policy_or_last_good, save_last_good_policy
from ds01.automation.report import ReportItem, TickReport, tick_document
from ds01.automation.tick import Tick
from ds01.cli.command.definition import command as verb
from ds01.cli.command.privileges import require_root
from ds01.cli.session import Session
from ds01.errors import Busy, PolicyUnreadable
from ds01.host.slice_updates import update_slices
from ds01.journal.notices import Mailboxes
from ds01.journal.notifier import Notifier
from ds01.policy.sources import PolicySources
from ds01.system import clock, files
from ds01.system.data import format_time


@verb(example="ds01 tick --dry-run", guided=False, user=False, pending=False)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
def command(session: Session, dry_run: bool) -> int:
    """One pass of the automation; root's cron runs it every few minutes.

    It brings the records to what Docker says, warns, stops what is idle or has run for long, gives held
    GPUs back, and removes what was stopped for long. Exit code 1 if anything could not be judged or done.
    """
    require_root(session, "everybody's containers")
    try:
        with session.installation.ledger.tick_lock():
            report = _run_pass(session, dry_run)
    except Busy:
        session.say("Another tick runs.")
        report = None
    if report is None:
        nothing: dict[str, list[ReportItem]] = {key: [] for key in ("acted", "warned", "unknown", "errors")}
        session.write_document({"started_at": None, "seconds": 0, "looked_at": 0} | nothing)
        return 0
    session.write_document(dataclasses.asdict(report))
    for title, items in (
        ("acted", report.acted), ("warned", report.warned), ("unknown", report.unknown), ("errors", report.errors),
    ):  # fmt: skip
        _show(session, title, items)
    summary = f"{'would look' if dry_run else 'summary'} at {report.looked_at}, in {report.seconds:.2f} s"
    session.say(f"{format_time(report.started_at)} {summary}")  # cron keeps this in tick.log
    return 0 if report.complete else 1


def _run_pass(session: Session, dry_run: bool) -> TickReport:
    """The pass, and its record in tick.json, also of one that could not begin."""
    try:
        session.installation.policy, problem, sources = load_policy_or_last_good(
            session.settings.config, session.installation.ledger, session.now()
        )
    except PolicyUnreadable as error:
        report = TickReport(session.now())
        report.add_error("", "policy", error)
    else:
        # What was parsed is kept at once: the pass takes minutes, and the file may be edited meanwhile.
        failure = None if dry_run or sources is None else _keep_policy(session, sources, None)
        report = _build_tick(session, dry_run).run()
        report.errors += [ReportItem("", "policy", problem)] if problem else []
        for emptied in session.policy.last_good_members:
            report.unknown.append(ReportItem("", "members", f"{emptied}; delete the file if that is meant"))
        if not dry_run and sources is not None and failure is None and not report.clock_is_doubted:
            failure = _keep_policy(session, sources, session.now())
        if failure is not None:
            report.add_error("", "policy", failure)
        if not dry_run:
            _emit_event(session, report)
    if not dry_run:
        files.delete_stale_temporaries(session.settings.log)
        try:
            session.installation.ledger.write_tick_report(
                tick_document(report, session.installation.ledger.read_tick_report())
            )
        except OSError as error:
            report.add_error("", "tick.json", error)
    return report


def _emit_event(session: Session, report: TickReport) -> None:
    """An event of a pass in which something was done, or could not be."""
    counts = {key: len(getattr(report, key)) for key in ("acted", "warned", "unknown", "errors")}
    if report.acted or report.warned or not report.complete:
        why = "; ".join(f"{item.container or 'the pass'}: {item.action}, {item.why}" for item in report.errors) or None
        event = {"actor": "tick", "container": None, "user": None, "why": why, "seconds": report.seconds}
        session.context.emit("tick", event | {"looked_at": report.looked_at} | counts)


def _build_tick(session: Session, dry_run: bool) -> Tick:
    context = session.context
    notifier = Notifier(Mailboxes(session.settings.mailboxes), session.policy.notify, context.emit)

    # A demo or a test beside a server must not touch the machine's slices.
    slices = None if session.settings.sandbox else update_slices
    # The time since boot says nothing about a clock that DS01_NOW sets.
    uptime = clock.uptime if session.settings.now is None else lambda: None
    return Tick(context, session.installation.another_context, notifier, dry_run, apply_slices=slices, uptime=uptime)


def _keep_policy(session: Session, sources: PolicySources, now: datetime | None) -> OSError | None:
    """Keep what was parsed, with an event if that is new; what went wrong."""
    try:
        if save_last_good_policy(sources, session.installation.ledger, now):
            event = {"actor": "tick", "container": None, "user": None}
            session.context.emit("configuration", event | {"why": f"{session.settings.config} was changed"})
    except OSError as error:
        return error
    return None


def _show(session: Session, title: str, items: Iterable[ReportItem]) -> None:
    for item in items:
        session.say(f"{title:8} {item.container or '–'}: {item.action}, {item.why}")
