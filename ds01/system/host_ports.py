"""Ports of this server."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def is_free(number: int) -> bool:
    """Return whether nothing listens on this TCP port of the loopback address, or on that of all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As whoever will listen there: a connection that was closed a moment ago is not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
        except OSError:
            return False
        return True
