"""`ds01 metrics`, and what a tick writes for monitoring."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ds01.engines.protocol import Devices
from tests.command_line import CommandLine


def run_container(ds: CommandLine) -> None:
    ds.ok("container-create", "my-thesis", "--image", "any/image")
    ds.ok("container-start", "my-thesis")


def test_an_administrator_gets_the_metrics(ds: CommandLine) -> None:
    run_container(ds)
    families = {family.name: family for family in text_string_to_metric_families(ds.ok("metrics", who="boss"))}
    (lease,) = families["ds01_lease_info"].samples
    assert (lease.labels["user"], lease.labels["container"]) == ("alice", "my-thesis._.70001")


def test_metrics_are_for_administrators(ds: CommandLine) -> None:
    assert "administrators" in ds.fails(3, "metrics")
    assert "administrators" in ds.fails(3, "metrics", "--listen", "0")


def test_an_address_that_is_none_is_refused(ds: CommandLine) -> None:
    assert "--listen 127.0.0.1:9101" in ds.fails(2, "metrics", "--listen", "here", who="boss")


def test_each_tick_writes_what_the_policy_names(ds: CommandLine) -> None:
    textfile, mapping = monitored(ds)
    run_container(ds)
    ds.ok("tick", who="root")
    families = {family.name: family for family in text_string_to_metric_families(textfile.read_text())}
    assert families["ds01_tick_age_seconds"].samples[0].value == 0  # of this tick, not of the one before
    assert {path.name: path.read_text() for path in mapping.iterdir()} == {"1.1": "alice/my-thesis._.70001\n"}
    ds.ok("container-retire", "my-thesis", "-f")
    ds.ok("tick", who="root")
    assert list(mapping.iterdir()) == []
    assert "ds01_lease_info" not in textfile.read_text()


def test_a_dry_run_writes_nothing(ds: CommandLine) -> None:
    textfile, _ = monitored(ds)
    ds.ok("tick", "--dry-run", who="root")
    assert not textfile.exists()


def test_a_file_that_cannot_be_written_is_an_error_of_the_tick(ds: CommandLine) -> None:
    _, mapping = monitored(ds)
    mapping.rmdir()
    run_container(ds)
    result = ds("tick", who="root")
    assert result.code == 1
    assert "metrics.dcgm_job_mapping" in result.out
    assert json.loads((ds.harness.state / "tick.json").read_text())["errors"][0]["action"] == "metrics.dcgm_job_mapping"


def test_somebody_elses_mapping_is_left_alone_and_reported(ds: CommandLine) -> None:
    _, mapping = monitored(ds)
    (mapping / "1.1").write_text("4711\n")
    run_container(ds)
    result = ds("tick", who="root")
    assert (result.code, "did not write 1.1" in result.out) == (1, True)
    assert (mapping / "1.1").read_text() == "4711\n"


@pytest.mark.in_process("it starts a program of its own")
def test_it_serves_until_it_is_terminated(ds: CommandLine) -> None:
    environment = os.environ | {"DS01_NOW": "2026-11-30T12:00:00Z"}
    command = [sys.executable, "-m", "ds01.main", "metrics", "--listen", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                assert b"ds01_up 1.0" in answer.read()
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


def monitored(ds: CommandLine) -> tuple[Path, Path]:
    """Let the policy name both files; return them."""
    textfile, mapping = ds.harness.root / "ds01.prom", ds.harness.root / "mapping"
    mapping.mkdir()
    section = f"metrics: {{textfile: {textfile}, dcgm_job_mapping: {mapping}}}\n"
    ds.harness.set_policy(ds.harness.policy_text + section)
    return textfile, mapping


def test_status_shows_disk_use_and_its_age(ds: CommandLine) -> None:
    run_container(ds)
    (ds.harness.home("alice") / "workspace" / "my-thesis" / "data").write_bytes(b"x" * (1 << 20))
    assert "Disk use" not in ds.ok("status")
    ds.ok("tick", who="root")
    ds.harness.clock.advance(minutes=10)
    (line,) = [line for line in ds.ok("status").splitlines() if line.startswith("Disk use")]
    assert line.startswith("Disk use, measured 10m ago: images ")
    assert re.search(r"workspaces 1(\.\d)?m; most: alice 1(\.\d)?m$", line), line


def test_status_lists_processes_outside_ds01(ds: CommandLine) -> None:
    ds.engine.add_foreign("jupyter", devices=Devices(("0",), form="device_request"))
    assert "0 is used outside ds01 by container jupyter" in ds.ok("status")
