"""`ds01 policy check` reports names that the server lacks; reservations are shown to the users concerned."""

from __future__ import annotations

import pytest

from tests.command_line import CommandLine

POLICY = """\
defaults: {max_mig_instances: 2}
groups:
  lab: {members: [alice, allice], unix_groups: [nobody_has_this]}
reservations:
  - {for: "@lab", slots: ["1:0", "1:9"], from: 2026-12-01T08:00Z, until: 2026-12-05T18:00Z, reason: "deadline"}
  - {for: bob, slots: ["0"], from: 2026-11-01T08:00Z, until: 2026-12-31T18:00Z}
  - {for: bob, slots: ["0"], from: 2026-10-01T08:00Z, until: 2026-11-01T08:00Z}
"""
LINE = "1:0, 1:9 for @lab, from Tue 01 Dec 2026 08:00 to Sat 05 Dec 2026 18:00 (deadline)"


@pytest.fixture
def reserved(ds: CommandLine) -> CommandLine:
    (ds.harness.root / "resource-limits.yaml").write_text(POLICY)
    return ds


def test_policy_check_names_what_the_server_lacks(reserved: CommandLine) -> None:
    answer = reserved("policy", "check")
    assert answer.code == 0
    assert "groups.lab: there is no user allice; perhaps alice" in answer.err
    assert "groups.lab: there is no Unix group nobody_has_this" in answer.err
    assert "reservations[0]: this server has no slot 1:9; `ds01 gpu list`" in answer.err


def test_policy_check_names_it_for_scripts(reserved: CommandLine) -> None:
    found = reserved("policy", "check", "--json").json["names"]
    assert [(item["kind"], item["name"], item["places"]) for item in found] == [
        ("login", "allice", ["groups.lab"]),
        ("unix_group", "nobody_has_this", ["groups.lab"]),
        ("slot", "1:9", ["reservations[0]"]),
    ]


def test_policy_check_is_quiet_about_a_policy_that_fits(ds: CommandLine) -> None:
    answer = ds("policy", "check")
    assert (answer.code, answer.err) == (0, "")


def test_gpu_status_shows_reservations_to_come(reserved: CommandLine) -> None:
    shown = reserved.ok("gpu", "status")
    assert f"Reserved: {LINE}\n" in shown
    assert "Reserved: 0 for bob, now to Thu 31 Dec 2026 18:00\n" in shown
    assert shown.count("Reserved") == 2, "those that are over are not shown"


@pytest.mark.parametrize(("who", "count"), [("alice", 1), ("bob", 1), ("carol", 0)])
def test_limits_show_ones_own(who: str, count: int, reserved: CommandLine) -> None:
    assert reserved.ok("limits", who).count("Reserved: ") == count


def test_a_reservation_that_ends_in_years_says_in_which(ds: CommandLine) -> None:
    ds.harness.set_policy("reservations: [{for: bob, slots: ['0'], from: 2026-01-01, until: 2029-12-05}]\n")
    until = next(line for line in ds.ok("gpu", "status").splitlines() if line.startswith("0 "))
    assert "05 Dec 2029" in until or "06 Dec 2029" in until
