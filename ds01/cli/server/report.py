"""ds01 report"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

import click

from ds01.api.seeing.report import GetReport, Report, ReportBy, ReportRow
from ds01.api.seeing.report_csv import report_csv
from ds01.cli.command.definition import command as verb
from ds01.cli.command.definition import option_group
from ds01.cli.command.page_output import refuse_html_with, write_page
from ds01.cli.command.period import OPTIONS, PeriodOptions
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_count, format_size
from ds01.cli.ui.output import print_text, terminal_width
from ds01.errors import UsageError
from ds01.system.clock import server_zone, to_server_zone

UNKNOWN, NOTHING = "?", "–"
NUMBERS = (
    "LEASED", "HELD", "IDLE", "USED", "MEASURED", "LEASES", "WAITED", "STOPS", "EXTENDED", "KWH", "COST", "CO2 KG",
    "DISK",
)  # fmt: skip
ALWAYS = ("LEASED", "HELD", "IDLE", "USED", "MEASURED", "LEASES")
# The columns that are left out if there is no room, the first one first; --csv and --json have them all.
LEFT_OUT = ("DISK", "CO2 KG", "EXTENDED", "LEASES", "STOPS", "WAITED", "COST")
NARROWEST = 80
LONGEST_NAME = 16  # a longer one is cut before a column is left out


@verb(example="ds01 report --month 2026-11 --by group", guided=False, user=False)
@option_group(PeriodOptions, OPTIONS)
@click.option("--month", metavar="YYYY-MM", help="This month. Default: the present one, up to now.")
@click.option(
    "--by",
    type=click.Choice([by.value for by in ReportBy]),
    default=ReportBy.USER.value,
    help="What the rows are. Default: user.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--html", metavar="FILE", help="Write a page with charts, by all of these; `-` is standard output.")
@click.option("--anonymous", is_flag=True, help="Numbers in place of users, projects and images.")
def command(
    session: Session,
    period: PeriodOptions,
    month: str | None,
    by: str,
    as_csv: bool,
    html: str | None,
    anonymous: bool,
) -> None:
    """Show who leased GPUs, how much of it was held, idle and used, and the energy that it took.

    Administrators see everybody. Others see groups, GPUs, and their own share beside the sum of all others. The page of
    --html has the same rows, and everybody on the server can read the file.
    """
    if as_csv and session.as_json:
        raise UsageError("--csv cannot be combined with --json", why="both print one document")
    if html is not None and (as_csv or session.as_json):
        raise refuse_html_with("--csv" if as_csv else "--json")
    since, until = _resolve(session.now(), period, month)
    if html is not None:
        from ds01.pages.report.page import report_page

        reports = [session.run(GetReport(since, until, kind, anonymous)) for kind in ReportBy]
        write_page(session, html, report_page(session.server_name, reports))
        return
    report = session.run(GetReport(since, until, ReportBy(by), anonymous))
    session.write_document(vars(report))
    if session.as_json:
        return
    if report.problem is not None:
        session.warn(f"only leases are known: {report.problem}")
    if as_csv:
        print_text(report_csv(report).rstrip("\n"))
    else:
        _show(session, report)


def _resolve(now: datetime, period: PeriodOptions, month: str | None) -> tuple[datetime, datetime]:
    """Return beginning and end of the period. Raises UsageError."""
    if month is not None:
        if period != PeriodOptions(None, None, None):
            raise UsageError("--month cannot be combined with --since, --until or --last")
        return _month(month)
    since, until = period.resolve(now)
    if since is None:
        if until is not None:
            raise UsageError("--until needs --since", hint="`--since 2026-11-01 --until 2026-11-30`")
        since, _ = _month(to_server_zone(now).strftime("%Y-%m"))
    return since, until or now


def _month(text: str) -> tuple[datetime, datetime]:
    match = re.fullmatch(r"(\d{4})-(\d{2})", text)
    try:
        first = date(int(match[1]), int(match[2]), 1) if match is not None else None
        following = (first + timedelta(days=32)).replace(day=1) if first is not None else None
    except (ValueError, OverflowError):
        first = following = None
    if first is None or following is None:
        raise UsageError(f"--month {text!r} is not a month", why="allowed: a year and a month, like 2026-11")
    zone = server_zone()
    return datetime.combine(first, time(), zone), datetime.combine(following, time(), zone)


def _show(session: Session, report: Report) -> None:
    session.say(_headline(report))
    if not report.rows:
        session.say("No GPU was leased.")
        return
    cells = [(row.name, _cells(row, report)) for row in (*report.rows, report.total)]
    columns = _columns(cells, max(terminal_width(), NARROWEST))
    rows = [(name, *(row[column].rjust(_width(column, cells)) for column in columns)) for name, row in cells]
    headings = (report.by.value.upper(), *(column.rjust(_width(column, cells)) for column in columns))
    tables.print_table(headings, rows, cut=headings[0])
    for line in _explanations(report):
        session.say(line)


def _columns(cells: Sequence[tuple[str, Mapping[str, str]]], width: int) -> list[str]:
    """Return the columns that say something, and fit beside the names."""
    columns = [name for name in NUMBERS if name in ALWAYS or any(row[name] != NOTHING for _, row in cells)]
    room = width - min(LONGEST_NAME, max(len(name) for name, _ in cells))
    for name in LEFT_OUT:
        if sum(_width(column, cells) + tables.GAP for column in columns) <= room:
            break
        columns = [column for column in columns if column != name]
    return columns


def _width(column: str, cells: Sequence[tuple[str, Mapping[str, str]]]) -> int:
    return max(len(column), *(len(row[column]) for _, row in cells))


def _headline(report: Report) -> str:
    since, until = to_server_zone(report.since), to_server_zone(report.until)
    energy = "" if report.gpu_energy_kwh is None else f"; all GPUs took {report.gpu_energy_kwh:.1f} kWh"
    slots = "" if report.slots is None else f", {format_count(report.slots, 'slot')}"
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}{slots}{energy}"


def _explanations(report: Report) -> list[str]:
    """Return in two lines what the numbers mean."""
    estimate = " ~: by MIG size." if any(row.energy_estimated for row in report.rows) else ""
    return [
        "Hours of slots. HELD: of it by stopped containers. IDLE: running, judged idle.",
        f"USED: utilisation x time, where it was MEASURED; ? is unknown.{estimate}",
    ]


def _cells(row: ReportRow, report: Report) -> dict[str, str]:
    energy = NOTHING if row.energy_kwh is None else f"{'~' if row.energy_estimated else ''}{row.energy_kwh:.1f}"
    return {
        "LEASED": _hours(row.leased),
        "HELD": _hours(row.held),
        "IDLE": _hours(row.idle),
        "USED": _hours(row.used),
        "MEASURED": NOTHING if row.leased == row.held else f"{row.measured:.0%}",
        "LEASES": str(row.leases),
        "WAITED": NOTHING if row.wait_mean is None else _hours(row.wait_mean),
        "STOPS": _count(row.idle_stops),
        "EXTENDED": _count(row.extensions),
        "KWH": energy,
        "COST": NOTHING if row.cost is None else f"{row.cost:.2f} {report.currency}",
        "CO2 KG": NOTHING if row.co2_kg is None else f"{row.co2_kg:.1f}",
        "DISK": NOTHING if row.disk_bytes is None else format_size(row.disk_bytes),
    }


def _hours(length: timedelta | None) -> str:
    return UNKNOWN if length is None else f"{length / timedelta(hours=1):.1f}"


def _count(number: int | None) -> str:
    return NOTHING if number is None else str(number)
