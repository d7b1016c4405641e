"""The files that each tick writes for monitoring, as the policy's section `metrics` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ds01.api.seeing.server_view import ServerView
from ds01.automation.report import ReportItem, TickReport
from ds01.lifecycle.context.context import Context
from ds01.observe.metrics.job_mapping import mapping_files, write_mapping

MAPPING = "job-mapping"  # the ledger's document: the directory, and the files in it that are ds01's


def write_metrics(context: Context, report: TickReport, see: Callable[[], ServerView]) -> None:
    """Write the textfile and the job mapping; errors go into the report. Call it after tick.json is written.

    `see` gathers the view of the server.
    """
    settings = context.rules.policy.metrics
    if settings.textfile is None and settings.dcgm_job_mapping is None:
        return
    try:
        view = see()
    except Exception as error:
        report.add_error("", "metrics", error)
        return
    if settings.textfile is not None:
        try:
            _write_textfile(context, Path(settings.textfile), view)
        except Exception as error:
            report.add_error("", "metrics.textfile", error)
    # Without an answer of the GPUs nobody knows the instances: the files stay as they are.
    if settings.dcgm_job_mapping is not None and view.driver is not None:
        try:
            _write_mapping(context, Path(settings.dcgm_job_mapping), view, report)
        except Exception as error:
            report.add_error("", "metrics.dcgm_job_mapping", error)


def _write_textfile(context: Context, path: Path, view: ServerView) -> None:
    # Here, since prometheus_client takes 0.1 s to import.
    from ds01.observe.metrics.text import metrics_text
    from ds01.observe.metrics.textfile import write_textfile

    write_textfile(path, metrics_text(context.ledger, view))


def _write_mapping(context: Context, directory: Path, view: ServerView, report: TickReport) -> None:
    document = context.ledger.document(MAPPING)
    before = document.read()
    own = [str(name) for name in before.get("files") or ()] if before.get("directory") == str(directory) else []

    def remember(names: list[str]) -> None:
        after = {"directory": str(directory), "files": sorted(names)}
        if after != document.read():
            document.write(after)

    foreign = write_mapping(directory, mapping_files(view.slots), own, remember)
    if foreign:
        why = f"ds01 did not write {', '.join(foreign)} in {directory}; remove them if nothing else does"
        report.errors.append(ReportItem("", "metrics.dcgm_job_mapping", why))
