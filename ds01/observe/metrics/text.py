"""All metrics of a server as text: from its view, and from what the last tick stored."""

from __future__ import annotations

from ds01 import __version__
from ds01.api.seeing.server_view import ServerView
from ds01.observe.accounting.totals import DOCUMENT, parse_totals
from ds01.observe.metrics.exposition import exposition
from ds01.observe.metrics.families import metric_families
from ds01.records.ledger import Ledger


def metrics_text(ledger: Ledger, view: ServerView) -> str:
    """Return the metrics in Prometheus's text format."""
    totals = parse_totals(ledger.document(DOCUMENT).read())
    return exposition(metric_families(view, ledger.read_tick_report(), totals, version=__version__))
