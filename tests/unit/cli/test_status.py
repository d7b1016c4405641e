"""`ds01 status` as people see it."""

from __future__ import annotations

import re

import pytest

from ds01.records.wait_queue import Waiter
from tests.command_line import CommandLine


def without_the_machine(text: str) -> list[str]:
    """The lines, without those whose numbers belong to the machine of the test."""
    machine = ("containers running", "container running", "Disk use")
    return [line for line in text.splitlines() if not any(words in line for words in machine)]


@pytest.mark.in_process
def test_a_server_with_a_lease_a_hold_and_a_waiter(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ds01.observe.server.machine.host_name", lambda: "gpu01")
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    ds.ok("container-deploy", "vision", "pytorch", "--gpus", "2", "--gpu-type", "mig", "--background", who="bob")
    ds.ok("container-stop", "vision", who="bob")
    ds.harness.clock.advance(minutes=90)
    ds.ok("tick", who="root")
    request = ds.harness.request("carol", gpus=2)
    waiter = Waiter("", "carol", ds.harness.people["carol"], 10, ds.harness.clock(), ds.harness.full("carol"), request)
    with ds.harness.ledger.wait_queue().join(waiter):
        *lines, last = without_the_machine(ds.ok("status"))
    assert lines == [
        "gpu01: free 1 of 1 A100, 0 of 3 2g.10gb (next Tue 01 Dec 12:00)",
        "SLOT  KIND     WHO                 FOR  USED  IDLE  NEXT                  NOW      MEMORY",
        "0     A100     free                –    –     –     –                          0%  0b/40g",
        "1:0   2g.10gb  alice (thesis)      1h   ?     –     idle stop in 1d 22h   ░░░░ ?   0b/10g",
        "1:1   2g.10gb  bob (vision), held  1h   ?     –     hold ends in 22h 30m  ░░░░ ?   0b/10g",
        "1:2   2g.10gb  bob (vision), held  1h   ?     –     hold ends in 22h 30m  ░░░░ ?   0b/10g",
        "Queue: 1 waiting, first carol (thesis) for 0s, perhaps at Tue 01 Dec 12:00; `ds01 queue` shows all",
    ]
    assert re.fullmatch(r"Last tick: 0s ago, \d\.\d s", last)


@pytest.mark.in_process
def test_watch_and_json_exclude_each_other(ds: CommandLine) -> None:
    assert ds("status", "--watch", "--json").json["error"]["code"] == "usage.invalid"


@pytest.mark.in_process
def test_a_list_of_servers_that_is_missing_says_where_it_belongs(ds: CommandLine) -> None:
    assert "/etc/ds01/hosts" in ds.fails(5, "status", "--hosts")
