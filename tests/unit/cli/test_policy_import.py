"""`ds01 policy import` writes a policy that `ds01 policy check` accepts, and never overwrites a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import CommandLine

OLD = "defaults: {cpus: 16, gpu_memory: null}\ngroups: {student: {members: [alice]}}\n"


@pytest.fixture
def old(ds: CommandLine) -> Path:
    folder = ds.harness.root / "old"
    folder.mkdir(mode=0o755)
    (folder / "resource-limits.yaml").write_text(OLD)
    return folder / "resource-limits.yaml"


@pytest.fixture
def target(ds: CommandLine) -> Path:
    """A file of alice's that does not exist yet."""
    return ds.harness.home("alice") / "new.yaml"


def test_the_policy_is_on_stdout_and_what_changed_beside_it(ds: CommandLine, old: Path) -> None:
    answer = ds("policy", "import", str(old))
    assert answer.code == 0
    assert "  max_cpus: 16\n" in answer.out and "now max_cpus" not in answer.out
    assert f"{old}:1: defaults.cpus: now max_cpus: 16\n" in answer.err
    assert "defaults.gpu_memory: not taken over: " in answer.err


def test_a_file_that_is_written_is_valid(ds: CommandLine, old: Path, target: Path) -> None:
    told = ds.ok("policy", "import", str(old), "--output", str(target))
    assert "defaults.cpus: now max_cpus: 16" in told
    assert f"ds01 policy check {target} --against-current" in told
    ds.ok("policy", "check", str(target))
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_file_that_exists_is_left_alone(ds: CommandLine, old: Path, target: Path) -> None:
    ds.ok("policy", "import", str(old), "--output", str(target))
    before = target.read_text()
    ds.fails(6, "policy", "import", str(old), "--output", str(target))
    assert target.read_text() == before


def test_for_scripts(ds: CommandLine, old: Path) -> None:
    document = ds("policy", "import", str(old), "--json").json
    assert list(document) == ["file", "output", "policy", "changes"]
    assert document["changes"][0] == {
        "file": str(old), "line": 1, "key": "defaults.cpus", "text": "now max_cpus: 16"
    }  # fmt: skip


def test_a_file_that_cannot_be_read(ds: CommandLine, old: Path) -> None:
    error = ds.error("policy", "import", str(old.parent / "none.yaml"))
    assert (error["exit"], error["code"]) == (1, "policy.invalid")
