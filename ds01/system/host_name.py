"""The server's name, for command lines that users copy to their own computer."""

from __future__ import annotations

import os


def host_name() -> str:
    """Return the server's hostname. The network is not asked, since that may hang."""
    return os.uname().nodename
