"""Which directories of the host a container may mount."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ds01.errors import Ds01Error, EngineRejected, NotFound, PermissionDenied, UsageError
from ds01.lifecycle.spec import mount_sources
from ds01.system.users import Account, Actor
from tests.harness import Harness

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="folders of several people need root")


def owned(path: Path, uid: int) -> str:
    path.mkdir(parents=True)
    os.chown(path, uid, uid)
    return str(path)


def mounts(harness: Harness, login: str = "alice") -> dict[str, str]:
    seen = harness.engine.inspect(harness.full(login))
    assert seen is not None and seen.spec is not None
    return {mount.target: mount.source for mount in seen.spec.mounts}


def test_the_workspace_is_made_with_the_owners_uid(harness: Harness, gate: Any) -> None:
    gate.create(harness.actor("alice"), harness.request("alice", "fresh", 0, project="new-project"))
    folder = harness.home("alice") / "workspace" / "new-project"
    assert folder.is_dir()
    if os.geteuid() == 0:
        assert folder.stat().st_uid == 70001


def test_listed_directories_may_be_mounted_by_anybody(harness: Harness, gate: Any) -> None:
    data, models = harness.root / "shared" / "data" / "set, one", harness.root / "shared" / "models"
    data.mkdir()
    gate.create(harness.actor("alice"), harness.request("alice", data=str(data), models=str(models)))
    assert mounts(harness) == {
        "/workspace": str(harness.home("alice") / "workspace" / "thesis"), "/data": str(data), "/models": str(models)
    }  # fmt: skip
    seen = harness.engine.inspect(harness.full("alice"))
    assert seen is not None
    assert seen.labels["aime.mlc.DATA_MOUNT"] == "-"  # a comma would break AIME's list
    assert not any("," in value for value in seen.labels.values())


@needs_root
def test_links_are_resolved_before_they_are_judged(harness: Harness, gate: Any) -> None:
    real = owned(harness.home("alice") / "disk", 70001)
    link = harness.home("alice") / "link"
    link.symlink_to(real)
    gate.create(harness.actor("alice"), harness.request("alice", workspace=str(link)))
    assert mounts(harness)["/workspace"] == real
    theirs = owned(harness.home("bob") / "secret", 70002)
    out = harness.home("alice") / "out"
    out.symlink_to(theirs)
    for path in (str(out), theirs, f"{harness.home('alice')}/../bob/secret", "/etc"):
        with pytest.raises(PermissionDenied) as caught:
            gate.create(harness.actor("alice"), harness.request("alice", "second", workspace=path))
        assert caught.value.exit_code == 3
        with pytest.raises(PermissionDenied):
            gate.plan(harness.actor("alice"), harness.request("alice", "second", data=path))


@needs_root
def test_link_out_of_a_listed_directory_is_refused(harness: Harness, gate: Any) -> None:
    theirs = owned(harness.home("bob") / "secret", 70002)
    link = harness.root / "shared" / "data" / "link"
    link.symlink_to(theirs)
    with pytest.raises(PermissionDenied):
        gate.create(harness.actor("alice"), harness.request("alice", data=str(link)))


@needs_root
def test_admin_cannot_mount_own_directories_for_a_user(harness: Harness, gate: Any) -> None:
    theirs = owned(harness.home("boss") / "secret", 70009)
    with pytest.raises(PermissionDenied):
        gate.create(harness.actor("boss"), harness.request("alice", data=theirs))


def test_mount_source_must_be_an_absolute_directory(harness: Harness, gate: Any) -> None:
    file = harness.root / "shared" / "data" / "file"
    file.write_text("x")
    alice = harness.actor("alice")
    for path, error in (
        (str(file), UsageError),
        ("data", UsageError),
        ("/no/such/folder", NotFound),
        ("/a\0b", UsageError),
    ):
        with pytest.raises(error):
            gate.create(alice, harness.request("alice", data=path))
    colon = harness.root / "shared" / "data" / "a:b"
    colon.mkdir()
    with pytest.raises(UsageError):
        gate.create(alice, harness.request("alice", data=str(colon)))
    assert harness.leased() == {}


def test_directory_swapped_during_create_undoes_it(harness: Harness) -> None:
    data = harness.root / "shared" / "data" / "set"
    data.mkdir()

    class Swapping(type(harness.engine)):  # type: ignore[misc]
        def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
            data.rmdir()
            data.symlink_to("/etc")
            super().put_archive(reference, folder, archive)

    gate = harness.another_gate(engine=Swapping(harness.engine.store.path, clock=harness.clock))
    with pytest.raises(EngineRejected) as caught:
        gate.create(harness.actor("alice"), harness.request("alice", data=str(data)))
    assert "was replaced" in (caught.value.why or "")
    assert harness.engine.containers() == []
    assert harness.leased() == {}


@needs_root
def test_root_makes_a_workspace_with_the_owners_rights_only(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    owner = Account(70001, 70001, "alice", str(tmp_path / "alice"))
    root = Actor(0, 0, "root")
    home = Path(owned(tmp_path / "alice", 70001))
    (home / "out").symlink_to(tmp_path)  # root's mkdir would follow this
    with pytest.raises(Ds01Error):
        mount_sources.make(str(home / "out" / "made"), owner=owner, actor=root)
    assert not (tmp_path / "made").exists()
