"""The option --html of commands that have a page: the page goes to a file, or to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from ds01.cli.session import Session
from ds01.cli.ui.output import write_raw
from ds01.errors import UsageError

STANDARD_OUTPUT = "-"


def refuse_html_with(option: str) -> UsageError:
    """Return the error for --html together with another option."""
    return UsageError(f"--html cannot be combined with {option}", hint="run the command once for each")


def write_page(session: Session, file: str, page: str) -> None:
    """Write a page to a file, world-readable, or to standard output for `-`. Raises Ds01Error."""
    if file == STANDARD_OUTPUT:
        # As ASCII, since the page says that it is UTF-8, and the output may have another encoding.
        write_raw(page.encode("ascii", "xmlcharrefreplace").decode(), sys.stdout, end="")
        return
    from ds01.host.publication import publish_page

    publish_page(Path(file).absolute(), page)
    session.say(f"The page is in {file}.")
