"""ds01 metrics"""

from __future__ import annotations

import gc
import sys

import click

from ds01.api.seeing.operations import GetMetrics
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui.output import print_text, write_raw
from ds01.cli.ui.refresh import EXIT_INTERRUPTED


@verb(example="sudo ds01 metrics", json=False, guided=False, user=False, pending=False)
@click.option("--listen", metavar="ADDRESS:PORT", help="Serve them over HTTP, at /metrics, until SIGTERM or Ctrl-C.")
def command(session: Session, listen: str | None) -> int:
    """Print the metrics of this server for Prometheus (administrators).

    Who has which GPU for how long, held or idle, quotas, the queue, the tick, and use outside ds01.
    """
    if listen is None:
        write_raw(session.run(GetMetrics()), sys.stdout, end="")
        return 0
    from ds01.host.metrics_server import MetricsCache, MetricsServer, parse_address

    address = parse_address(listen)
    if not address.is_loopback:
        session.warn(f"everybody who can reach {address.host} sees who uses which GPU")
    session.run(GetMetrics())  # whoever may not, or has no policy, is told so at once
    server = MetricsServer(address, MetricsCache(lambda: session.run(GetMetrics())))
    session.say(f"Serving http://{_url_host(address.host)}:{server.port}/metrics")
    gc.enable()  # this may take months
    try:
        server.serve_until_terminated()
    except KeyboardInterrupt:
        print_text(error=True)  # ends the line in which the terminal shows ^C
        return EXIT_INTERRUPTED
    return 0


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
