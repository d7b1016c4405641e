"""The page of the server's state that the policy asks for: each tick writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ds01.api.seeing.server_view import ServerView
from ds01.automation.report import TickReport
from ds01.host.publication import publish_page
from ds01.lifecycle.context.context import Context
from ds01.observe.server.public_view import public_view
from ds01.pages.status.page import status_page


def write_status_page(
    context: Context, report: TickReport, see: Callable[[], ServerView], *, sandbox: Path | None
) -> None:
    """Write the page, as anybody may see it; an error goes into the report. Call it after tick.json is written.

    `see` gathers the view of the server. `sandbox`: the directory of a sandbox, outside of which it writes nothing: it
    may have the server's policy, and must not replace the server's page.
    """
    policy = context.rules.policy
    if policy.status_page is None:
        return
    path = Path(policy.status_page)
    if sandbox is not None and sandbox not in path.parents:
        return
    try:
        publish_page(path, status_page(public_view(see(), names=policy.status_page_names)))
    except Exception as error:
        report.add_error("", "status_page", error)
