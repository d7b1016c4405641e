"""Check the name under which users reach this server."""

from __future__ import annotations

from ds01.errors import UsageError
from ds01.policy.reading.value_types import HOST

SSH_PORT = 22


def check_host(text: str) -> str:
    """Return the text. Raises UsageError if it is not a host name or address."""
    try:
        return str(HOST.read(text))
    except ValueError:
        shown = text if len(text) < 80 else f"{text[:80]}…"
        raise UsageError(f"'{shown}' is not a host name", hint="--host server.example.org") from None
