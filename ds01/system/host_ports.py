"""Check ports of this server."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def is_free(number: int) -> bool:
    """Return whether this TCP port is free on the loopback address and on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that was closed a moment ago does not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
        except OSError:
            return False
        return True
