"""The policy's `workspaces`: one directory for all workspaces, instead of ~/workspace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command_line import CommandLine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes directories for other people, which only root can")


@pytest.fixture
def place(ds: CommandLine) -> Path:
    place = ds.harness.root / "workspaces"
    place.mkdir(mode=0o755)
    policy = ds.harness.root / "resource-limits.yaml"
    policy.write_text(f"{policy.read_text()}workspaces: {place}\n")
    return place


def test_user_add_makes_the_place_and_it_is_the_users(ds: CommandLine, place: Path) -> None:
    ds.ok("add-user-to-docker", "alice", who="root")
    status = (place / "alice").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (ds.harness.people["alice"], 0o755)


def test_a_container_and_a_project_get_their_workspace_there(ds: CommandLine, place: Path) -> None:
    ds.ok("add-user-to-docker", "alice", who="root")
    ds.ok("container-create", "thesis", "pytorch")
    seen = ds.engine.inspect(ds.harness.full("alice"))
    assert seen is not None and seen.spec is not None
    assert [mount.source for mount in seen.spec.mounts] == [f"{place}/alice/thesis"]
    ds.ok("dir-create", "masters", "--blank")
    assert (place / "alice" / "masters").is_dir()


@pytest.mark.parametrize("text", ["relative", "/", "/a/../b"])
def test_a_place_that_is_no_directory_in_full_is_refused(ds: CommandLine, text: str) -> None:
    (ds.harness.root / "resource-limits.yaml").write_text(f"workspaces: {text}\n")
    error = ds.error("policy", "check")
    assert (error["exit"], error["code"]) == (1, "policy.invalid")
    assert [item["key"] for item in error["data"]["errors"]] == ["workspaces"]
