"""VS Code on a person's own computer, working on this server: the entry for its SSH configuration."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from ds01.projects.server import SSH_PORT, check_host
from ds01.projects.steps import Step
from ds01.projects.texts import append, text
from ds01.system.home import Home

ALIAS = "ds01"
_THERE = re.compile(rf"^[ \t]*Host[ \t=][^\n#]*(?<![\w.*?!-]){ALIAS}(?![\w.*?-])", re.MULTILINE | re.IGNORECASE)


def host_entry(login: str, host: str, port: int = SSH_PORT) -> str:
    """The entry `Host ds01`, for ~/.ssh/config on the person's own computer. Raises WrongUse."""
    user = f'"{login}"' if any(letter.isspace() for letter in login) else login
    return text("ssh_config", alias=ALIAS, host=check_host(host), user=user, port=str(port))


def guide(login: str, host: str, port: int = SSH_PORT) -> tuple[str, ...]:
    """The way from a fresh VS Code to a window that works here, as lines. Raises WrongUse."""
    entry = textwrap.indent(host_entry(login, host, port).rstrip("\n"), "       ")
    return tuple(text("vscode.txt", alias=ALIAS, entry=entry).splitlines())


def write(home: Home, path: Path, entry: str) -> Step:
    """Add the entry at the end of a file, which is made if it is not there. One that has it stays as it is."""
    there = home.read_text(path) or ""
    if entry in there:
        return Step(kept=(str(path),))
    if _THERE.search(there):
        note = f"{path} has an entry `Host {ALIAS}` that says something else; it stays as it is."
        return Step(kept=(str(path),), notes=(note,))
    append(home, path, entry, mode=0o600)  # ssh refuses a configuration that others can write
    return Step(made=(str(path),))
