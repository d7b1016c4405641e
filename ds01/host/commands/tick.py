"""Run `ds01 tick`: the automation, the copy of the last good policy, tick.json, and the event."""

from __future__ import annotations

from datetime import datetime
from functools import cache, partial

from ds01.automation.last_good_policy import load_policy_or_last_good, save_last_good_policy
from ds01.automation.report import DISK_USE, ReportItem, TickReport, error_line, tick_document
from ds01.automation.tick import Tick
from ds01.errors import Busy, PolicyUnreadable
from ds01.gate.installation import Installation
from ds01.host.commands.status_page import write_status_page
from ds01.host.commands.tick_metrics import write_metrics
from ds01.host.slice_updates import update_slices
from ds01.journal.notifier import Notifier
from ds01.observe.accounting.recorder import record_tick
from ds01.observe.accounting.totals import store_totals
from ds01.observe.disk_use.measure import measure_disk_use
from ds01.observe.server.gather import gather_server_view
from ds01.policy.sources import PolicySources
from ds01.system import clock, files
from ds01.system.host_name import host_name

ACCOUNTING = "accounting"  # an action in the report


def run_tick(installation: Installation, *, dry_run: bool) -> TickReport | None:
    """Run one tick, and return its report; None if another tick is running. Raises Ds01Error."""
    try:
        with installation.ledger.tick_lock():
            return _run(installation, dry_run)
    except Busy:
        return None


def _run(installation: Installation, dry_run: bool) -> TickReport:
    """Run the tick, and write tick.json, even if the tick could not start."""
    settings, ledger = installation.settings, installation.ledger
    observed = False
    try:
        installation.policy, problem, sources = load_policy_or_last_good(settings.config, ledger, installation.now())
    except PolicyUnreadable as error:
        report = TickReport(installation.now())
        report.add_error("", "policy", error)
    else:
        # The parsed policy is saved at once: the tick takes minutes, and the file may be edited meanwhile.
        failure = None if dry_run or sources is None else _keep_policy(installation, sources, None)
        tick = _create_tick(installation, dry_run)
        report = tick.run()
        observed = tick.observed is not None
        report.errors += [ReportItem("", "policy", problem)] if problem else []
        for emptied in installation.policy.last_good_members:
            report.unknown.append(ReportItem("", "members", f"{emptied}; delete the file if that is intended"))
        if not dry_run and sources is not None and failure is None and not report.clock_is_doubted:
            failure = _keep_policy(installation, sources, installation.now())
        if failure is not None:
            report.add_error("", "policy", failure)
        if not dry_run:
            if not report.clock_is_doubted:
                _record(installation, tick, report)
            _emit_event(installation, report)
    if not dry_run:
        files.delete_stale_temporaries(settings.log)
        _store(installation, report)
        _write_views(installation, report)
        if observed:  # or nothing is asked a second time
            _measure_disk_use(installation, report)
    return report


def _store(installation: Installation, report: TickReport) -> None:
    ledger = installation.ledger
    try:
        ledger.write_tick_report(tick_document(report, ledger.read_tick_report()))
    except OSError as error:
        report.add_error("", "tick.json", error)


def _write_views(installation: Installation, report: TickReport) -> None:
    """Write what other programs and people read, from the report as it is stored; store its errors too."""
    if "policy" not in vars(installation):
        return  # no policy could be read
    count = len(report.errors)
    context, settings = installation.context, installation.settings
    see = cache(partial(gather_server_view, context))  # once for all of them, and only if one needs it
    write_metrics(context, report, see)
    write_status_page(context, report, see, sandbox=settings.state if settings.sandbox else None)
    if len(report.errors) > count:
        _store(installation, report)


def _measure_disk_use(installation: Installation, report: TickReport) -> None:
    """Measure disk use, as the last of all, since it can take minutes. What cannot be measured fails nothing."""
    try:
        problems = measure_disk_use(installation.context)
    except Exception as error:
        problems = [error_line(error)]
    if problems:
        report.unknown += [ReportItem("", DISK_USE, problem) for problem in problems]
        _store(installation, report)


def _create_tick(installation: Installation, dry_run: bool) -> Tick:
    settings, context = installation.settings, installation.context
    notifier = Notifier(context.mailboxes, installation.policy.notify, context.emit)
    # A sandbox must not touch the machine's slices.
    slices = None if settings.sandbox else update_slices
    # The time since boot does not apply to a clock set by DS01_NOW.
    uptime = clock.uptime if settings.now is None else lambda: None
    return Tick(context, installation.another_context, notifier, dry_run, apply_slices=slices, uptime=uptime)


def _record(installation: Installation, tick: Tick, report: TickReport) -> None:
    """Bring the accounting up to date. What is wrong with its database is reported, and does not make the tick fail."""
    settings, now = installation.settings, installation.now()
    problem = record_tick(installation.ledger, settings.log, tick.observed, now, clock.server_zone())
    if problem is None:
        why = store_totals(installation.ledger, now)
        if why is not None:
            report.unknown.append(ReportItem("", ACCOUNTING, why))
        _write_monthly_report(installation, report)
        return
    report.unknown.append(ReportItem("", ACCOUNTING, problem.why))
    if problem.moved:
        event = {"actor": "tick", "container": None, "user": None}
        why = f"{problem.why}; the next tick makes a new one from the logs and records, without what was measured"
        installation.context.emit("repair", event | {"why": why})


def _write_monthly_report(installation: Installation, report: TickReport) -> None:
    settings = installation.policy.report
    if settings.monthly is None:
        return
    from ds01.host.commands.monthly_report import write_monthly_report  # most policies ask for none

    try:
        write_monthly_report(
            installation.ledger,
            installation.settings.log,
            settings,
            installation.now(),
            clock.server_zone(),
            server=installation.policy.server_name or host_name(),
        )
    except Exception as error:
        report.add_error("", "report.monthly", error)


def _emit_event(installation: Installation, report: TickReport) -> None:
    """Emit an event, unless nothing was done and nothing went wrong."""
    if not (report.acted or report.warned or not report.complete):
        return
    counts = {key: len(getattr(report, key)) for key in ("acted", "warned", "unknown", "errors")}
    items = [*report.errors, *(item for item in report.unknown if item.action == ACCOUNTING)]
    why = "; ".join(f"{item.container or 'the tick'}: {item.action}, {item.why}" for item in items) or None
    event = {"actor": "tick", "container": None, "user": None, "why": why, "seconds": report.seconds}
    installation.context.emit("tick", event | {"looked_at": report.looked_at} | counts)


def _keep_policy(installation: Installation, sources: PolicySources, now: datetime | None) -> OSError | None:
    """Save the parsed policy, and emit an event if it is new. Return the error, if any."""
    try:
        if save_last_good_policy(sources, installation.ledger, now):
            event = {"actor": "tick", "container": None, "user": None}
            why = f"{installation.settings.config} was changed"
            installation.context.emit("configuration", event | {"why": why})
    except OSError as error:
        return error
    return None
