"""Connect VS Code on a user's computer to this server: the entry for its SSH configuration, and a guide."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from ds01.projects.ssh_host import SSH_PORT, check_host
from ds01.projects.step_result import StepResult
from ds01.projects.templates import append_block, render_template
from ds01.system.home import Home

HOST_ALIAS = "ds01"
_EXISTING_ENTRY = re.compile(
    rf"^[ \t]*Host[ \t=][^\n#]*(?<![\w.*?!-]){HOST_ALIAS}(?![\w.*?-])", re.MULTILINE | re.IGNORECASE
)


def host_entry(login: str, host: str, port: int = SSH_PORT) -> str:
    """Return the entry `Host ds01`, for ~/.ssh/config on the user's computer. Raises UsageError."""
    user = f'"{login}"' if any(letter.isspace() for letter in login) else login
    return render_template("ssh_config", alias=HOST_ALIAS, host=check_host(host), user=user, port=str(port))


def setup_guide(login: str, host: str, port: int = SSH_PORT) -> tuple[str, ...]:
    """Return instructions from a new VS Code to a window on this server, as lines. Raises UsageError."""
    entry = textwrap.indent(host_entry(login, host, port).rstrip("\n"), "       ")
    return tuple(render_template("vscode.txt", alias=HOST_ALIAS, entry=entry).splitlines())


def write_host_entry(home: Home, path: Path, entry: str) -> StepResult:
    """Append the entry to a file, created if missing. A file with an entry is unchanged."""
    existing = home.read_text(path) or ""
    if entry in existing:
        return StepResult(kept=(str(path),))
    if _EXISTING_ENTRY.search(existing):
        note = f"{path} has a different entry `Host {HOST_ALIAS}`, which was not changed."
        return StepResult(kept=(str(path),), notes=(note,))
    append_block(home, path, entry, mode=0o600)  # ssh refuses a configuration that others can write to
    return StepResult(made=(str(path),))
