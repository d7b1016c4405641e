"""The examples in the commands' help that need a whole host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.host.machine import Host
from tests.server import IMAGE

DOCS = Path(__file__).parents[2] / "docs" / "admin.md"
POLICY = """\
defaults: {max_cpus: 1, memory: 96m, shm_size: 24m, ulimits: {memlock: null}}
ports: []
policies: {stop_grace: 0s}
"""


# The commands of docs/admin.md that a simulated server cannot follow.
IN_THE_DOCS = sorted(
    set(re.findall(r"^\$ sudo (ds01 (?:doctor|slices apply).*)$", DOCS.read_text("utf-8"), re.MULTILINE))
)


@pytest.mark.parametrize("line", IN_THE_DOCS)
def test_what_the_docs_show_of_the_machine_works(host: Host, line: str) -> None:
    host.write("/etc/ds01/resource-limits.yaml", POLICY)
    code = None if "doctor" in line else 0  # doctor returns what it found
    assert "Error" not in host.run(line, code=code).stderr


@pytest.mark.parametrize(
    "command", ["ds01 policy check", "ds01 slices apply", "ds01 user add", "ds01 doctor", "ds01 emergency-stop"]
)
def test_the_example_of_the_help_works(host: Host, command: str) -> None:
    host.write("/etc/ds01/resource-limits.yaml", POLICY)
    host.write("/tmp/resource-limits.yaml", POLICY)
    host.run(f"container-deploy thesis --image {IMAGE} --background", user="alice")
    host.run("ds01 tick")
    shown = host.run(f"{command} --help").stdout
    example = next(line for line in shown.splitlines() if "Example: " in line).partition("Example: ")[2]
    assert example.removeprefix("sudo ").startswith(command)
    code = None if command == "ds01 doctor" else 0  # it returns what it found: this host has no live-restore
    meant = " --yes" if command == "ds01 emergency-stop" else ""  # at a terminal it asks
    assert "Error" not in host.run(example + meant, code=code).stderr
