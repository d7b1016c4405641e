"""Handlers of the operations that show the server. What users may not see of others is left out here."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ds01.api.seeing.operations import GetMetrics, GetRecentUse, GetServerView, SlotUse
from ds01.api.seeing.report import GetReport, Report
from ds01.api.seeing.server_view import ProcessView, ServerContainer, ServerSlot, ServerView
from ds01.errors import UsageError
from ds01.gate.call import Call
from ds01.observe.server.gather import gather_server_view
from ds01.observe.server.public_view import public_view
from ds01.system.clock import server_zone


def get_server_view(call: Call, operation: GetServerView) -> ServerView:
    """Return the whole server. Raises PolicyUnreadable, Ds01Error."""
    call.context.rules.refresh()
    view = gather_server_view(call.context)
    if operation.public:
        return public_view(view, names=call.context.rules.policy.status_page_names)
    return view if call.context.rules.is_admin(call.actor) else without_others_details(view, call.actor.uid)


def get_recent_use(call: Call, operation: GetRecentUse) -> tuple[SlotUse, ...]:
    """Return the use of the last hour; empty if nothing was measured."""
    from ds01.observe.accounting.lease_use import read_recent_use

    context = call.context
    return read_recent_use(context.ledger.accounting_path, context.clock() - timedelta(hours=1))


def get_metrics(call: Call, operation: GetMetrics) -> str:
    """Return the metrics as text."""
    # Here, since prometheus_client takes 0.1 s to import.
    from ds01.observe.metrics.text import metrics_text

    return metrics_text(call.context.ledger, gather_server_view(call.context))


def get_report(call: Call, operation: GetReport) -> Report:
    """Return the report of a period; for who is no administrator without the rows of others."""
    from ds01.observe.report.build import Reader
    from ds01.observe.report.period import report_of_period

    context, now = call.context, call.context.clock()
    if operation.since >= operation.until:
        raise UsageError("the period ends before it begins")
    if operation.since >= now:
        raise UsageError("the period has not begun", why="a report is about what was")
    return report_of_period(
        context.ledger,
        context.log_directory,
        context.rules.policy.report,
        (operation.since, operation.until),
        by=operation.by,
        now=now,
        zone=server_zone(),
        reader=None if context.rules.is_admin(call.actor) else Reader(call.actor.uid, call.login(call.actor.uid)),
        anonymous=operation.anonymous,
    )


def without_others_details(view: ServerView, uid: int) -> ServerView:
    """Return the view as the user `uid` may see it: names and deadlines of everybody, details of their own only."""
    own = {item.container.container for item in view.containers if item.container.uid == uid}
    return replace(
        view,
        slots=tuple(_slot(slot, own) for slot in view.slots),
        containers=tuple(item if item.container.container in own else _container(item) for item in view.containers),
        outside=tuple(replace(use, command=None) for use in view.outside),
    )


def _slot(slot: ServerSlot, own: set[str]) -> ServerSlot:
    if slot.processes is None:
        return slot
    return replace(slot, processes=tuple(_process(process, own) for process in slot.processes))


def _process(process: ProcessView, own: set[str]) -> ProcessView:
    return process if process.container in own else replace(process, command=None)


def _container(item: ServerContainer) -> ServerContainer:
    return replace(item, container=replace(item.container, image=None, project=None, ports=(), ended=None))
