"""ds01 report: the table, its period, and the other forms."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from tests.command_line import CommandLine

POLICY = """\
defaults: {max_mig_instances: 2, max_gpus_per_container: 2, max_containers_per_user: 3}
groups: {admins: {members: [boss], admin: true}, students: {members: [alice, bob]}}
report: {energy_price: 0.31, currency: CHF, co2_grams_per_kwh: 363}
"""


@pytest.fixture
def used(ds: CommandLine) -> CommandLine:
    """Alice had two slots for a day, of which one half held; bob has one for an hour."""
    harness = ds.harness
    harness.set_policy(POLICY)
    ds.ok("container-deploy", "thesis", "pytorch", "--gpus", "2", "--background")
    harness.clock.advance(hours=12)
    ds.ok("container-stop", "thesis")
    harness.clock.advance(hours=12)
    ds.ok("container-retire", "thesis", "--force")
    harness.clock.advance(hours=1)
    ds.ok("container-deploy", "sea", "pytorch", "--background", who="bob")
    harness.clock.advance(hours=1)
    ds.ok("tick", who="root")
    return ds


def table(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_the_table_with_its_sum_and_what_the_numbers_mean(used: CommandLine) -> None:
    lines = used.ok("report", "--last", "7d", who="boss").splitlines()
    heading, alice, bob, total = [line.split() for line in lines[1:5]]
    assert heading[:7] == ["USER", "LEASED", "HELD", "IDLE", "USED", "MEASURED", "LEASES"]
    assert alice[:4] == ["alice", "48.0", "24.0", "?"]
    assert bob[:3] == ["bob", "1.0", "0.0"]
    assert total[:3] == ["total", "49.0", "24.0"]
    assert len(lines) == 7
    assert all(len(line) <= 80 for line in lines), lines


def test_this_month_is_the_default(used: CommandLine) -> None:
    assert "2026-12-01 00:00 to 2026-12-01 14:00" in used.ok("report", who="boss")
    assert table(used.ok("report", who="boss"))[2][:3] == ["alice", "24.0", "24.0"]


def test_a_month(used: CommandLine) -> None:
    rows = table(used.ok("report", "--month", "2026-11", who="boss"))
    assert rows[2][:3] == ["alice", "24.0", "0.0"]
    used.fails(2, "report", "--month", "2027-01", who="boss")


@pytest.mark.parametrize("by", ["user", "group", "project", "gpu", "image"])
def test_rows_by(used: CommandLine, by: str) -> None:
    names = [row["name"] for row in used("report", "--last", "7d", "--by", by, "--json", who="boss").json["rows"]]
    assert names == {
        "user": ["alice", "bob"], "group": ["students"], "project": ["thesis", "sea"], "gpu": ["1"],
        "image": ["pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime"],
    }[by]  # fmt: skip


def test_users_see_others_as_one(used: CommandLine) -> None:
    assert [row[0] for row in table(used.ok("report", "--last", "7d", who="bob"))[2:5]] == ["bob", "others", "total"]


def test_csv(used: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(used.ok("report", "--last", "7d", "--csv", who="boss"))))
    assert [(row["user"], row["leased_hours"], row["used_hours"]) for row in rows] == [
        ("alice", "48.0000", ""), ("bob", "1.0000", ""), ("total", "49.0000", ""),
    ]  # fmt: skip


def test_anonymous(used: CommandLine) -> None:
    output = used.ok("report", "--last", "7d", "--anonymous", who="boss")
    assert "alice" not in output
    assert [row[:2] for row in table(output)[2:4]] == [["user", "1"], ["user", "2"]]


def test_without_any_lease(ds: CommandLine) -> None:
    assert "No GPU was leased." in ds.ok("report")


def test_the_leases_are_exact_without_a_tick(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    ds.harness.clock.advance(hours=2)
    answer = ds("report", "--last", "1d", "--json")
    assert answer.json["rows"][0]["leased"] == timedelta(hours=2).total_seconds()
    assert "only leases are known" in ds("report", "--last", "1d").err


@pytest.mark.parametrize(
    "options",
    [("--month", "2026"), ("--month", "2026-13"), ("--month", "0000-01"), ("--month", "2026-11", "--last", "2d"),
     ("--until", "2026-11-30"), ("--since", "2027-01-01"), ("--by", "color")],
)  # fmt: skip
def test_wrong_options_are_wrong_use(ds: CommandLine, options: tuple[str, ...]) -> None:
    ds.fails(2, "report", *options)


def test_two_documents_at_once_are_wrong_use(ds: CommandLine) -> None:
    assert ds("report", "--csv", "--json").code == 2
