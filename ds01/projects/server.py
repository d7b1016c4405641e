"""How this server is called from outside, as it may stand in a configuration."""

from __future__ import annotations

import re

from ds01.errors import WrongUse

SSH_PORT = 22
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:%-]{0,251}[A-Za-z0-9])?")  # names, and both kinds of addresses


def check_host(text: str) -> str:
    """The same text. Raises WrongUse if it is no host's name or address."""
    if _HOST.fullmatch(text) is None:
        shown = text if len(text) < 80 else f"{text[:80]}…"
        raise WrongUse(f"'{shown}' is no name of a host", hint="--host server.example.org")
    return text
