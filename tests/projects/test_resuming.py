"""project-init and user-setup: checks before the first step, resuming, and readers of the project's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.projects import project_file
from ds01.system.home import Home
from ds01.system.users import Users
from tests.command_line import CommandLine


def own(ds: CommandLine, path: Path, text: str) -> None:
    """Return a file of alice."""
    Home(Users(ds.harness.state / "passwd").by_login("alice")).write(path, text)


@pytest.fixture(autouse=True)
def key(ds: CommandLine) -> None:
    """Write a key for alice, since ssh-keygen creates none for users outside the user database."""
    home = Home(Users(ds.harness.state / "passwd").by_login("alice"))
    home.write(home.path / ".ssh" / "id_ed25519", "stand-in", mode=0o600)
    home.write(home.path / ".ssh" / "id_ed25519.pub", "ssh-ed25519 AAAA alice\n")


def folder(ds: CommandLine, project: str) -> Path:
    return ds.harness.home("alice") / "workspace" / project


def broken_dockerfile(ds: CommandLine, name: str) -> Path:
    path = ds.harness.home("alice") / "dockerfiles" / f"{name}.Dockerfile"
    own(ds, path, "FROM busybox\nRUN false\n")
    return path


@pytest.mark.parametrize("command", ["project-init", "user-setup"])
def test_a_refusal_comes_before_anything_is_built(command: str, ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "--image", "any/image", "--gpus", "2", "--background")
    said = ds.fails(3, command, "birds", "--quick", "--framework", "pytorch")
    assert f"{command} birds --framework pytorch --no-container" in said.replace("ds01 ", "")
    assert not folder(ds, "birds").exists() and not (ds.harness.home("alice") / "dockerfiles").exists()


@pytest.mark.parametrize("command", ["project-init", "user-setup"])
def test_container_has_the_requested_properties(command: str, ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "--image", "any/image", "--gpus", "2", "--background")
    ds.ok(command, "birds", "--quick", "--image", "any/image", "--cpu-only")
    assert ds.harness.record("alice", "birds").lease is None
    ds.ok("container-retire", "one", "--force")
    ds.ok(command, "fish", "--quick", "--image", "any/image", "--gpus", "2")
    lease = ds.harness.record("alice", "fish").lease
    assert lease is not None and len(lease.slots) == 2


def test_request_with_wait_is_not_refused_before_the_first_step(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "--image", "any/image", "--gpus", "2", "--background", who="bob")
    assert "--wait" in ds.fails(4, "project-init", "birds", "--quick", "--image", "any/image", "--gpus", "2")
    assert not folder(ds, "birds").exists()
    ds.fails(4, "project-init", "birds", "--quick", "--image", "any/image", "--gpus", "2", "--wait-for", "0s")
    assert (folder(ds, "birds") / "README.md").exists()


def test_user_setup_resumes_after_a_failed_image(ds: CommandLine) -> None:
    path = broken_dockerfile(ds, "birds")
    ds.fails(1, "user-setup", "birds", "--type", "cv", "--quick")
    own(ds, path, "FROM busybox\n")
    said = ds.ok("user-setup", "--quick")
    assert "The setup of birds was interrupted, and continues now." in said
    assert ds.state("birds") == "running"
    assert "interrupted" not in ds.ok("user-setup", "--quick")


def test_user_setup_resumes_an_unfinished_project(ds: CommandLine) -> None:
    broken_dockerfile(ds, "birds")
    ds.fails(1, "project-init", "birds", "--quick")
    assert "`image-update birds --rebuild`" in ds.fails(1, "user-setup", "--quick")


def test_project_with_a_container_from_elsewhere_is_finished(ds: CommandLine) -> None:
    broken_dockerfile(ds, "birds")
    ds.fails(1, "project-init", "birds", "--quick")
    ds.ok("container-deploy", "birds", "--image", "any/image", "--background")
    assert "interrupted" not in ds.ok("user-setup", "--quick")


def test_a_failing_ssh_step_does_not_end_the_rest(ds: CommandLine) -> None:
    (ds.harness.home("alice") / ".ssh" / "id_ed25519").unlink()  # half a key is left
    answer = ds("user-setup", "birds", "--quick", "--image", "any/image")
    assert answer.code == 1 and "`ssh-setup`" in answer.out + answer.err
    assert "Host ds01" in answer.out and ds.state("birds") == "running"


def test_a_failing_git_step_does_not_end_the_rest(ds: CommandLine) -> None:
    own(ds, folder(ds, "birds") / ".git", "not a repository")
    answer = ds("project-init", "birds", "--quick", "--image", "any/image")
    assert answer.code == 1 and "`git-init birds`" in answer.out
    assert ds.state("birds") == "running"


def test_the_image_of_project_init_is_remembered_by_deploy(ds: CommandLine) -> None:
    ds.ok("project-init", "birds", "--quick", "--image", "lab/birds:2", "--no-container")
    said = ds.ok("container-deploy", "birds", "--background")
    assert "pyproject.toml" in said
    assert ds.harness.record("alice", "birds").image == "lab/birds:2"
    ds.ok("container-retire", "birds", "--force")
    ds.ok("container-create", "birds")
    assert ds.harness.record("alice", "birds").image == "lab/birds:2"


def test_own_image_of_that_name_precedes_the_projects_file(ds: CommandLine) -> None:
    ds.ok("project-init", "birds", "--quick", "--image", "lab/birds:2", "--no-container")
    ds.ok("image-create", "birds", "--framework", "pytorch")
    ds.ok("container-create", "birds")
    assert ds.harness.record("alice", "birds").image == "ds01-70001/birds"


def test_an_image_in_the_file_that_was_never_built_is_not_used(ds: CommandLine) -> None:
    ds.ok("project-init", "birds", "--quick", "--no-image")
    assert "`image-create birds`" in ds.fails(5, "container-deploy", "birds", "--background")


def test_the_file_is_read_by_project_and_by_workspace(ds: CommandLine) -> None:
    ds.ok("project-init", "birds", "--quick", "--image", "lab/birds:2", "--no-container")
    ds.ok("container-create", "one", "--project", "birds")
    assert ds.harness.record("alice", "one").image == "lab/birds:2"
    ds.ok("container-create", "two", "--cpu-only", "-w", str(folder(ds, "birds")))
    assert ds.harness.record("alice", "two").image == "lab/birds:2"


def test_project_init_reuses_the_image_of_the_file(ds: CommandLine) -> None:
    ds.ok("project-init", "birds", "--quick", "--image", "lab/birds:2", "--no-container")
    ds.ok("project-init", "birds", "--quick")
    assert ds.harness.record("alice", "birds").image == "lab/birds:2"
    ds.ok("container-retire", "birds", "--force")
    ds.ok("project-init", "birds", "--quick", "--image", "lab/birds:3", "--no-container")
    ds.ok("container-deploy", "birds", "--background")
    assert ds.harness.record("alice", "birds").image == "lab/birds:3"


def test_invalid_image_in_the_file_is_reported_and_not_used(ds: CommandLine) -> None:
    own(ds, folder(ds, "birds") / "pyproject.toml", '[tool.ds01]\nimage = "Not An Image"\n')
    answer = ds("container-deploy", "birds", "--background")
    assert answer.code == 5 and "'Not An Image'" in answer.err


def test_the_setup_leaves_no_trace_in_the_file(ds: CommandLine) -> None:
    ds.ok("project-init", "birds", "--quick", "--image", "any/image")
    assert "setup" not in (folder(ds, "birds") / "pyproject.toml").read_text().split("[tool.ds01]")[1]


MINE = '[project]\nname = "x"\n\n[tool.ds01]\nproject = "x"\nimage = "a/b"  # mine\n\n[tool.black]\nimage = "c/d"\n'


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_update_changes_only_its_keys(line_end: str, home: Home, tmp_path: Path) -> None:
    path = home.path / "workspace" / "x"
    home.write(path / "pyproject.toml", MINE.replace("\n", line_end).encode() + b"# \xff")
    assert project_file.update(home, path, {"image": 'e/"f', "setup": "unfinished", "kind": None})
    assert project_file.read(home, path) == {"project": "x", "image": 'e/"f', "setup": "unfinished"}
    assert not project_file.update(home, path, {"image": 'e/"f', "setup": "unfinished", "kind": None})
    assert project_file.update(home, path, {"image": "a/b", "setup": None})
    there = home.read(path / "pyproject.toml") or b""
    assert there == MINE.replace("  # mine", "").replace("\n", line_end).encode() + b"# \xff"


@pytest.mark.parametrize("text", [None, "", "[project]\n", "[tool.ds01]\nimage = ['a']\n", "[tool.ds01]"])
def test_values_in_another_form_are_kept(text: str | None, home: Home) -> None:
    path = home.path / "workspace" / "x"
    home.make_directory(path)
    if text is not None:
        home.write(path / "pyproject.toml", text)
    changed = project_file.update(home, path, {"image": "a/b"})
    assert changed == (text == "[tool.ds01]")
    if changed:
        assert project_file.read(home, path) == {"image": "a/b"}
