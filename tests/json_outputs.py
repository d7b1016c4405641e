"""The --json output of every command, from one long scenario on the simulated engine."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest

from ds01 import commands
from ds01.errors import Ds01Error
from ds01.gpus.model import GpuObservation, GpuProcess
from ds01.gpus.simulated import SimulatedInventory
from ds01.host.other_servers import OtherStatus, SupplyThere
from ds01.host.systemd import Systemd
from ds01.records.wait_queue import Waiter
from tests.aime_containers import create
from tests.command_line import CommandLine, prepare_home_directories

POLICY = """\
defaults: {max_mig_instances: 3, max_gpus_per_container: 2, idle_timeout: 10h, max_extension: 6h, ulimits: {core: null},
           environment: {A: b}, aggregate: {max_cpus: 48}, group_total: {memory: 100g}}
groups:
  admins: {members: [boss], admin: true, max_mig_instances: null}
reservations:
  - {for: carol, slots: ["1:2"], from: 2026-11-01, until: 2026-12-31, reason: course}
mounts: {workspace: [], data: [], models: []}
"""
OTHER = OtherStatus("gpu02", "gpu02", supply=(SupplyThere("A100", 1, 2, None),))
DRAFT = """\
defaults: {max_mig_instances: 0, idle_timeout_h: 1, max_containers_per_user: 1}
groups: {nobodies: {members: [not-there]}}
"""


class Scenario:
    """Runs commands with --json and keeps what they print, by command."""

    def __init__(self, ds: CommandLine) -> None:
        self.ds = ds
        self.found: dict[str, list[Any]] = {}

    def run(self, *words: str, who: str = "alice", code: int | None = 0) -> Any:
        answer = self.ds(*words, "--json", who=who)
        assert code is None or answer.code == code, answer
        document = answer.json
        named = commands.split_command("ds01", words)[0]
        self.found.setdefault("errors" if "error" in document else named, []).append(document)
        return document


def collect(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Return all documents by command, and those of `errors`, `tick.json` and `events.jsonl`."""
    ds.harness.set_policy(POLICY)
    prepare_home_directories(ds.harness)
    told = Scenario(ds)
    containers(told)
    queue_and_refusals(told)
    images_and_projects(told)
    administration(told, monkeypatch)
    return told.found | files(ds)


def containers(told: Scenario) -> None:
    ds, run = told.ds, told.run
    run("notices")
    run("container-create", "one", "pytorch", "--dry-run")
    run("container-create", "one", "pytorch", "--gpu-type", "full")
    run("container-start", "one")
    run("tick", who="root")
    run("container-pause", "one")
    run("container-unpause", "one")
    for _ in range(12):  # the accounting needs ten measurements before it says anything
        ds.harness.clock.advance(minutes=1)
        ds.ok("tick", who="root")
    run("container-stats")
    run("mlc-stats")
    ds.harness.clock.advance(hours=8)
    run("tick", who="root")
    run("container-list", "--all")
    run("check-limits")
    run("limits")
    run("container-extend", "one", "1h", "--reason", "work")
    run("gpu", "status")
    run("gpu", "list")
    run("gpu", "allocate", "--user", "alice", "--container", "byhand", who="boss")
    run("check-limits")
    run("gpu", "release", "--user", "alice", "--container", "byhand", who="boss")
    run("notices")
    run("container-stop", "one")
    run("gpu", "validate", "--container", "one")
    run("container-stop", "--all")
    run("gpu", "mark-stopped", "--container", "one")
    run("container-start", "one")
    run("gpu", "clear-stopped", "--container", "one")
    run("container-retire", "one", "--force")
    run("container-list", "--all")
    run("container-deploy", "two", "pytorch", "--cpu-only")
    run("container-stop", "two")
    run("container-cleanup", "--all")
    run("container-create", "three", "pytorch", "--cpu-only")
    run("container-remove", "three")
    run("mlc-create", "four", "Pytorch")
    run("mlc-create", "--info")
    run("mlc-start", "four")
    run("mlc-list")
    run("mlc-stop", "four", "-Y")
    run("mlc-remove", "four", "-f")


def queue_and_refusals(told: Scenario) -> None:
    ds, run = told.ds, told.run
    request = ds.harness.request("alice", gpus=1)
    waiter = Waiter("", "alice", ds.harness.people["alice"], 10, ds.harness.clock(), ds.harness.full("alice"), request)
    with ds.harness.ledger.wait_queue().join(waiter):
        run("queue")
        run("status")
        run("dashboard")
    run("container-create", "big", "pytorch", "--gpus", "2", "--gpu-type", "full", code=None)
    run("container-create", "big", "pytorch", "--gpus", "3", code=3)
    ds.ok("container-deploy", "full", "pytorch", "--gpus", "2", "--gpu-type", "mig", "--background")
    run("container-create", "more", "pytorch", "--gpu-type", "mig", code=4)
    run("container-create", "more", "pytorch", "--gpu-type", "mig", "--wait-for", "1s", code=4)
    ds.ok("container-retire", "full", "--force")
    run("container-create", "big", "pytorch", "--gpus", "3", "--dry-run", code=3)
    run("container-list", "--user", "nobody", code=3)
    run("container-deploy", "kept", "pytorch")
    ds.ok("container-stop", "kept", "--release")
    run("container-stop", "kept", "--keep-container")
    ds.ok("container-deploy", "other", "pytorch", "--background")
    ds.engine.start(ds.harness.full("alice", "kept"))  # outside ds01, on a GPU of the other
    run("container-list")
    ds.engine.kill(ds.harness.full("alice", "other"), out_of_memory=True)
    run("tick", who="root")
    run("container-list")
    ds.engine.break_container(ds.harness.full("alice", "kept"))
    run("emergency-stop", "alice", "-y", who="boss", code=1)
    run("tick", who="root", code=None)
    ds.engine.fix_container(ds.harness.full("alice", "kept"))
    run("container-remove", "--all", "--force")
    create(ds.harness, engine=ds.engine)
    run("container-adopt", "theirs")
    run("container-remove", "theirs")
    ds.ok("container-deploy", "lost", "pytorch", "--cpu-only", "--background")
    ds.harness.record_file("alice", "lost").unlink()
    run("container-list")
    run("container-retire", "lost", "--force")
    policy = ds.harness.root / "resource-limits.yaml"
    policy.write_text(policy.read_text() + "server_name: gpu.example.org\n")
    run("tick", who="root", code=None)


def images_and_projects(told: Scenario) -> None:
    run = told.run
    run("image-create", "own", "--framework", "pytorch", who="root")
    run("image-create", "later", "--framework", "pytorch", "--no-build", who="root")
    run("image-list", who="root")
    run("image-update", "own", "--rebuild", who="root")
    run("image-delete", "own", who="root")
    run("dir-create", "thesis", who="root")
    run("readme-create", "thesis", who="root")
    run("git-init", "thesis", who="root")
    run("devcontainer-init", "thesis", who="root")
    run("project-init", "birds", "--no-image", "--no-git", who="root")
    run("ssh-setup", who="root")
    run("vscode-setup", who="root")
    run("alias-list")


def administration(told: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    ds, run = told.ds, told.run
    draft = ds.harness.root / "draft.yaml"
    draft.write_text(DRAFT)
    old = ds.harness.root / "old.yaml"
    old.write_text("defaults: {cpus: 16, gpu_memory: null}\n")
    ds.ok("container-deploy", "five", "pytorch", "--background")
    ds.ok("container-create", "six", "pytorch", "--cpu-only")
    run("policy", "schema")
    run("policy", "check")
    run("policy", "check", str(draft), "--against-current")
    run("policy", "import", str(old))
    (ds.harness.state / "gpu-state.json").unlink()
    run("doctor", "--fix", who="root", code=None)
    run("queue")
    run("events", "--limit", "5")
    run("report", "--last", "30d")
    run("report", "--last", "30d", "--by", "gpu", who="boss")
    run("logs", who="boss")
    run("logs", "tick", who="boss")
    ds.ok("tick", who="root")
    with monkeypatch.context() as patched:
        patched.setattr(SimulatedInventory, "observe", observe_a_process)
        ds("tick", who="root")
        run("status", who="boss")
        (ds.harness.home("boss") / ".config/ds01").mkdir(parents=True)
        (ds.harness.home("boss") / ".config/ds01/hosts").write_text("gpu02\n")
        patched.setattr("ds01.cli.server.hosts.ask_all", lambda servers: (OTHER,))
        run("status", "--hosts", who="boss")
    ds("tick", who="root")
    run("emergency-stop", "--all", "-y", who="boss")
    monkeypatch.setattr("ds01.cli.slices.apply.require_real_server", lambda *_: None)
    monkeypatch.setattr("ds01.host.slice_limits.find_obstacle", lambda driver: None)
    monkeypatch.setattr("ds01.host.slice_limits.Systemd", lambda: Systemd(run=systemctl))
    run("slices", "apply", "--dry-run", who="root")
    run("slices", "apply", who="root", code=1)


def observe_a_process(inventory: SimulatedInventory, *, utilisation: bool = False) -> GpuObservation:
    """The simulated GPUs, with a process outside ds01 on the first slot."""
    first, *others = inventory.observation.slots
    busy = replace(first, processes=(GpuProcess(os.getpid(), "python", memory_bytes=1 << 30),))
    return replace(inventory.observation, slots=(busy, *others))


def systemctl(words: list[str]) -> str:
    if "set-property" in words and "ds01-default-alice.slice" in words:
        raise Ds01Error("systemctl failed", why="no such slice")
    return ""


def files(ds: CommandLine) -> dict[str, list[Any]]:
    state = ds.harness.state
    events = [json.loads(line) for line in (state / "log" / "events.jsonl").read_text().splitlines()]
    return {"tick.json": [json.loads((state / "tick.json").read_text())], "events.jsonl": events}
