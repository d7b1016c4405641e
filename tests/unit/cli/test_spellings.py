"""Every command applies the policy to users whose login it spells differently from the server."""

from __future__ import annotations

import json

import pytest

from tests.command_line import CommandLine

POLICY = """\
defaults: {max_mig_instances: 2, max_gpus_per_container: 2}
groups:
  lab: {members: [ALICE], max_cpus: 5}
  admins: {members: [BOSS@uni.example], admin: true}
reservations:
  - {for: ALICE, slots: ["0", "1:0", "1:1", "1:2"], from: 2026-11-01T00:00Z, until: 2026-12-31T00:00Z}
"""


@pytest.fixture
def directory(ds: CommandLine) -> CommandLine:
    """A server whose directory knows two people under two spellings; the first is the server's own."""
    with (ds.harness.state / "passwd").open("a") as file:
        for login, alias in (("alice", "ALICE"), ("boss", "BOSS@uni.example")):
            uid = ds.harness.people[login]
            file.write(f"{alias}:x:{uid}:{uid}::{ds.harness.home(login)}:/bin/sh\n")
    (ds.harness.root / "resource-limits.yaml").write_text(POLICY)
    return ds


def test_limits(directory: CommandLine) -> None:
    document = directory("limits", "--json").json
    assert (document["user"], document["group"], document["max_cpus"]) == ("alice", "lab", 5)


def test_an_administrator_is_one(directory: CommandLine) -> None:
    directory.ok("container-create", "thesis", "pytorch", "--cpu-only", "--user", "alice", "-q", who="boss")
    directory.fails(3, "container-create", "x", "pytorch", "--cpu-only", "--user", "alice", "-q", who="bob")


def test_a_reservation_is_for_whom_it_names(directory: CommandLine) -> None:
    directory.fails(4, "container-create", "thesis", "pytorch", "-q", who="bob")
    directory.ok("container-create", "thesis", "pytorch", "-q", who="alice")


def test_what_would_change_knows_spellings(directory: CommandLine) -> None:
    draft = directory.harness.root / "draft.yaml"
    draft.write_text(POLICY.replace("max_cpus: 5", "max_cpus: 6"))
    found = json.loads(directory.ok("policy", "check", str(draft), "--against-current", "--json"))
    assert [(item["user"], item["after"]) for item in found["changed"]] == [("alice", "6")]


def test_acting_for_somebody_by_another_spelling(directory: CommandLine) -> None:
    directory.ok("container-create", "thesis", "pytorch", "--cpu-only", "--user", "ALICE", "-q", who="boss")
    assert directory.harness.record("alice").user == "alice"
