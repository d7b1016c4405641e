"""VS Code on a person's own computer, working on this server: the entry for its SSH configuration."""

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
    """The entry `Host ds01`, for ~/.ssh/config on the person's own computer. Raises UsageError."""
    user = f'"{login}"' if any(letter.isspace() for letter in login) else login
    return render_template("ssh_config", alias=HOST_ALIAS, host=check_host(host), user=user, port=str(port))


def setup_guide(login: str, host: str, port: int = SSH_PORT) -> tuple[str, ...]:
    """The way from a fresh VS Code to a window that works here, as lines. Raises UsageError."""
    entry = textwrap.indent(host_entry(login, host, port).rstrip("\n"), "       ")
    return tuple(render_template("vscode.txt", alias=HOST_ALIAS, entry=entry).splitlines())


def write_host_entry(home: Home, path: Path, entry: str) -> StepResult:
    """Add the entry at the end of a file, which is made if it is not there. One that has it stays as it is."""
    existing = home.read_text(path) or ""
    if entry in existing:
        return StepResult(kept=(str(path),))
    if _EXISTING_ENTRY.search(existing):
        note = f"{path} has an entry `Host {HOST_ALIAS}` that says something else; it stays as it is."
        return StepResult(kept=(str(path),), notes=(note,))
    append_block(home, path, entry, mode=0o600)  # ssh refuses a configuration that others can write
    return StepResult(made=(str(path),))
