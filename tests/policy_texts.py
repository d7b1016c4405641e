"""Load policies from text, and list their problems."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ds01.errors import PolicyUnreadable
from ds01.policy.model import Policy
from ds01.policy.reading.load import load
from ds01.policy.reading.nodes import Mapping, Node, Scalar, Sequence, parse_yaml

# Every key.
EVERY_KEY = """\
defaults:
  max_mig_instances: 1
  max_cpus: 8
  memory: 32g
  memory_swap: null
  idle_timeout: 48h
  gpu_hold_after_stop: 0s
  priority: 10
  ulimits: {memlock: -1, stack: 64m, nofile: 65536, core: null}
default_group: students
groups:
  students:    {members: [], unix_groups: [students], priority: 10}
  researchers: {members: [0123, 1001, no, first.last@example.org], max_mig_instances: 2, memory: "64g",
                aggregate:   {max_cpus: 48, memory: 192g, max_tasks: 16384},
                group_total: {max_cpus: 96.5, memory: 400g, max_tasks: 65536}}
  admins:      {members: [root], admin: true, max_mig_instances: null, priority: 90}
user_overrides:
  thesis_student: {max_mig_instances: 2, idle_timeout: 168h, until: 2027-03-31, reason: "thesis"}
  1234: {priority: 100}
reservations:
  - {for: "@researchers", slots: [0:0, "0:1", 3], from: 2026-12-01T08:00Z, until: 2026-12-05T18:00Z, reason: no}
exemptions:
  - {user: thesis_student, from: [idle_timeout], until: 2026-12-31, reason: "long preprocessing"}
gpu_allocation: {enable_mig: false, mig_profile: 2g.20gb, placement: pack, prefer: full}
policies: {idle_cpu_percent: 1.5, idle_network_rate: 20k, stop_grace: 30s, keep_alive_max: 1w}
mounts: {workspace: [/scratch/], data: [/data, /nfs/data], models: []}
ports: [8888]
network: none
reclaim_held: true
server_name: gpu.example.org
status_page: /var/www/ds01/index.html
status_page_names: false
outside:
  {ignore_containers: [], ignore_processes: [Xorg], ignore_graphics_below: 1g, ignore_missing_process_list: true}
notify: {terminal: false, command: [/usr/local/bin/tell, "--to", ""]}
"""


def load_text(folder: Path, text: str | bytes, **options: Any) -> Policy:
    path = folder / "resource-limits.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path, **options)


def policy_errors(folder: Path, text: str | bytes) -> list[dict[str, Any]]:
    with pytest.raises(PolicyUnreadable) as caught:
        load_text(folder, text)
    assert caught.value.data is not None
    found: list[dict[str, Any]] = caught.value.data["errors"]
    assert found
    return found


def error_places(folder: Path, text: str | bytes) -> list[tuple[int | None, str]]:
    return [(error["line"], error["key"]) for error in policy_errors(folder, text)]


def as_an_editor_reads(text: str) -> Any:
    """Return the document as YAML 1.2 types it, which editors use: `no` and dates are texts there."""
    return _typed(parse_yaml(text))


def _typed(node: Node | None) -> Any:
    if isinstance(node, Mapping):
        return {name.text: _typed(child) for name, child in node.entries if isinstance(name, Scalar)}
    if isinstance(node, Scalar):
        if node.is_null:
            return None
        if not node.plain:
            return node.text
        if node.text.lower() in ("true", "false"):
            return node.text.lower() == "true"
        if re.fullmatch(r"[-+]?[0-9]+", node.text):
            return int(node.text)
        if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", node.text):
            return float(node.text)
        return node.text
    return [_typed(item) for item in node.items] if isinstance(node, Sequence) else None
