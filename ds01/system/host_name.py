"""What this server is called, for the lines that people copy to their own computer."""

from __future__ import annotations

import os


def host_name() -> str:
    """The server's name as it has it itself. Not asked of the network: that may hang."""
    return os.uname().nodename
