"""The commands for projects and users, without a terminal."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from ds01.main import load_command
from tests.command_line import CommandLine
from tests.projects.conftest import AS_ROOT, everything

ON_PROJECTS = ("dir-create", "git-init", "readme-create", "devcontainer-init")
ODD = ["", " ", ".", "..", "/", "a/b", "../x", "größe", "😀", "x" * 200, "a\x1b[31mb", "a\nb", "\udcff", "-"]


@pytest.fixture
def birds(ds: CommandLine) -> Path:
    ds.ok("dir-create", "birds")
    return ds.harness.home("alice") / "workspace" / "birds"


def test_commands_report_what_is_new_and_a_second_run_nothing(ds: CommandLine) -> None:
    folder = ds.harness.home("alice") / "workspace" / "birds"
    for verb in ON_PROJECTS:
        assert "Created: " in ds.ok(verb, "birds"), verb
    before = everything(folder)
    for verb in ON_PROJECTS:
        assert ds.ok(verb, "birds").startswith("Nothing to do, already present"), verb
    assert everything(folder) == before
    if os.geteuid() == 0:
        assert {path.stat().st_uid for path in folder.rglob("*")} == {ds.harness.people["alice"]}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("verb", ON_PROJECTS)
def test_json_has_the_step_and_its_directory(verb: str, ds: CommandLine, birds: Path) -> None:
    answer = ds(verb, "birds", "--json")
    assert answer.code == 0 and (answer.json["project"], answer.json["path"]) == ("birds", str(birds))
    assert {"made", "kept", "notes", "differing"} == answer.json["step"].keys()
    assert ds(verb, "birds", "-q").out == ""


@pytest.mark.sampled(4)
@pytest.mark.parametrize("verb", ON_PROJECTS)
def test_project_defaults_to_the_current_directory(
    verb: str, ds: CommandLine, birds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"{verb} PROJECT" in ds.fails(2, verb)
    monkeypatch.chdir(birds.parent)
    ds.fails(2, verb)
    monkeypatch.chdir(birds / "src")
    assert ds(verb, "--json").json["path"] == str(birds)
    (birds.parent / "Mixed Case").mkdir(exist_ok=True)
    monkeypatch.chdir(birds.parent / "Mixed Case")
    ds.fails(2, verb)  # no project of that name can be


def test_linked_workspace_counts_as_the_current_project(
    ds: CommandLine, birds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = ds.harness.home("alice") / "disk"
    birds.parent.rename(elsewhere)
    birds.parent.symlink_to(elsewhere)
    monkeypatch.chdir(elsewhere / "birds")
    assert ds("readme-create", "--json").json["path"] == str(birds)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("verb", ON_PROJECTS)
@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_invalid_names_are_refused_and_create_nothing(verb: str, name: str, ds: CommandLine) -> None:
    before = everything(ds.harness.home("alice"))
    error = ds.fails(2, verb, "--", name)
    assert "\x1b" not in error and everything(ds.harness.home("alice")) == before


def test_name_is_folded_and_reported(ds: CommandLine) -> None:
    assert "The name becomes my-birds" in ds.ok("dir-create", "My Birds")


@pytest.mark.parametrize("verb", ON_PROJECTS[1:])
def test_missing_project_exits_with_5_and_is_not_created(verb: str, ds: CommandLine) -> None:
    assert "`dir-create nothing`" in ds.fails(5, verb, "nothing")
    assert not (ds.harness.home("alice") / "workspace" / "nothing").exists()


def test_another_directory_can_be_given(ds: CommandLine) -> None:
    folder = ds.harness.home("alice") / "Elsewhere"
    for verb in ON_PROJECTS:
        answer = ds(verb, "--dir", "~/x/../Elsewhere", "--json")
        assert (answer.json["project"], answer.json["path"]) == ("elsewhere", str(folder)), verb
    assert (folder / ".git").is_dir()
    ds.fails(2, "dir-create", "--dir", "")
    ds.fails(2, "dir-create", "--dir", "/")


def test_blank_and_a_file_in_the_way(ds: CommandLine) -> None:
    ds.ok("dir-create", "empty", "--blank")
    workspace = ds.harness.home("alice") / "workspace"
    assert list((workspace / "empty").iterdir()) == []
    (workspace / "file").write_text("mine")
    assert "rename it" in ds.fails(6, "dir-create", "file")
    for verb in ON_PROJECTS[1:]:
        ds.fails(1, verb, "file")
    assert (workspace / "file").read_text() == "mine"


def test_own_files_are_kept_without_an_option(ds: CommandLine, birds: Path) -> None:
    mine = {"README.md": "mine", ".gitignore": "mine\n", ".devcontainer/devcontainer.json": "{}"}
    (birds / ".devcontainer").mkdir()
    for name, text in mine.items():
        (birds / name).write_text(text)
        if os.geteuid() == 0:
            os.chown(birds / name, 70001, 70001)
            os.chown((birds / name).parent, 70001, 70001)
    assert "--force" in ds.ok("readme-create", "birds") and "--force" in ds.ok("devcontainer-init", "birds", "-y")
    assert "--append" in ds.ok("git-init", "birds")
    assert all((birds / name).read_text() == text for name, text in mine.items())
    assert ds.ok("git-init", "birds", "--append").startswith("Created: lines in .gitignore")
    ds.ok("readme-create", "birds", "--force", "--description", "Birds")
    ds.ok("devcontainer-init", "birds", "--force")
    assert (birds / ".gitignore").read_text().startswith("mine\n\n# ds01:")
    assert "Birds" in (birds / "README.md").read_text()
    assert "ds01-70001/birds" in (birds / ".devcontainer" / "devcontainer.json").read_text()


def test_the_first_commit_is_one_line_away(ds: CommandLine, birds: Path) -> None:
    said = ds.ok("git-init", "birds", "--name", "Ada Lovelace", "--email", "ada@example.org")
    assert "git commit" in said and "user.name Ada Lovelace" in said
    assert "git commit" not in ds.ok("git-init", "birds")
    ds.fails(2, "git-init", "birds", "--email", "nobody")


def test_a_devcontainer_takes_the_projects_image(ds: CommandLine, birds: Path) -> None:
    assert "`image-create birds` builds one" in ds.ok("devcontainer-init", "birds")
    (birds / "pyproject.toml").write_text('[tool.ds01]\nimage = "lab/birds:2"\n')
    assert ds("devcontainer-init", "birds", "--force", "--json").json["image"] == "lab/birds:2"
    assert ds("devcontainer-init", "birds", "--force", "--image", "a/b", "--json").json["image"] == "a/b"
    ds.fails(2, "devcontainer-init", "birds", "--image", 'a", "runArgs": ["--gpus=all')


def test_guided_teaches(ds: CommandLine, birds: Path) -> None:
    for words, taught in {
        "dir-create birds": "/workspace", "git-init birds": ".gitignore", "readme-create birds": "README",
        "devcontainer-init birds": "ATTACH", "vscode-setup": "VS Code",
    }.items():  # fmt: skip
        lines = [line for line in ds.ok(*words.split(), "--guided").splitlines() if line.startswith("│")]
        assert taught in " ".join(lines) and "{" not in "".join(lines), words


# people


def test_ssh_setup_shows_only_the_public_key(ds: CommandLine) -> None:
    said = ds.ok("ssh-setup", "--host", "server.example.org", who="root")
    folder = ds.harness.home("root") / ".ssh"
    assert (folder / "id_ed25519.pub").read_text().strip() in said
    assert "ssh-copy-id root@server.example.org" in said and "no passphrase" in said
    private = (folder / "id_ed25519").read_text().splitlines()
    for option in ((), ("--json",), ("--guided",), ("--debug",)):
        answer = ds("ssh-setup", *option, who="root")
        assert answer.code == 0 and not any(line in answer.out + answer.err for line in private)
    assert ds("ssh-setup", "--json", who="root").json["public_key"].startswith("ssh-ed25519 ")


def test_ssh_setup_with_half_a_key_or_a_wrong_word(ds: CommandLine) -> None:
    for option, value in (("--host", "a b"), ("--host", "-oX"), ("--comment", "a\nb")):
        ds.fails(2, "ssh-setup", option, value, who="root")
    ds.ok("ssh-setup", "-q", who="root")
    (ds.harness.home("root") / ".ssh" / "id_ed25519").unlink()
    assert "mv ~/.ssh/id_ed25519.pub" in ds.fails(6, "ssh-setup", who="root")


def test_vscode_setup_shows_the_entry_and_writes_it_once(ds: CommandLine) -> None:
    said = ds.ok("vscode-setup", "--host", "server.example.org", "--port", "2222")
    assert "HostName server.example.org" in said and "Port 2222" in said and "User alice" in said
    path = ds.harness.home("alice") / "config"
    for _ in range(2):
        answer = ds("vscode-setup", "--host", "server", "--write", "~/config", "--json")
        assert answer.json["path"] == str(path) and path.read_text() == answer.json["entry"]
    assert answer.json["step"]["made"] == []
    ds.fails(2, "vscode-setup", "--port", "0")
    ds.fails(2, "vscode-setup", "--host", "a\nUser root")
    ds.fails(1, "vscode-setup", "--write", "~/workspace")


def test_administrators_act_for_others_and_the_files_are_theirs(ds: CommandLine) -> None:
    ds.ok("dir-create", "birds", "--user", "bob", who="root")
    folder = ds.harness.home("bob") / "workspace" / "birds"
    assert folder.is_dir() and (os.geteuid() != 0 or folder.stat().st_uid == ds.harness.people["bob"])
    for words in (*(f"{verb} birds" for verb in ON_PROJECTS), "ssh-setup", "vscode-setup"):
        error = ds.error(*words.split(), "--user", "bob", who="alice")
        assert (error["exit"], error["code"]) == (3, "access.denied")


@AS_ROOT
def test_unwritable_home_is_an_error_with_a_message(ds: CommandLine) -> None:
    ds.harness.home("alice").chmod(0o555)
    (ds.harness.home("alice") / "workspace").chmod(0o555)
    assert "Permission denied" in ds.fails(1, "dir-create", "birds")
    assert "Permission denied" in ds.fails(1, "ssh-setup")
    assert "Permission denied" in ds.fails(1, "vscode-setup", "--write", "~/config")


def test_json_of_an_error_is_one_document(ds: CommandLine) -> None:
    assert json.loads(ds("git-init", "nothing", "--json").out)["error"]["code"] == "not_found"


def test_refused_step_names_reason_and_next_command(ds: CommandLine) -> None:
    ds.ok("container-deploy", "one", "--image", "any/image", "--gpus", "2", "--background")
    said = ds.fails(3, "project-init", "birds", "--quick", "--image", "any/image")
    assert "max_mig_instances" in said and "`container-retire one`" in said
    assert "`project-init birds --image any/image --no-container`" in said and "`container-deploy birds`" in said
    assert not (ds.harness.home("alice") / "workspace" / "birds").exists()


def test_failed_build_continues_from_its_dockerfile(ds: CommandLine) -> None:
    ds.harness.home("alice").joinpath("dockerfiles").mkdir()
    ds.harness.home("alice").joinpath("dockerfiles", "birds.Dockerfile").write_text("FROM busybox\nCOPY absent /\n")
    said = ds.fails(5, "project-init", "birds", "--quick")
    assert "To continue: `image-update birds --rebuild`" in said and "`image-create birds`" not in said


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (5, ["--framework", "nope"], "unknown framework 'nope'"),
        (5, ["--framework", "nope"], "`--image NAME` takes any other image"),
        (5, ["--framework", "pytorch-99"], "`--image NAME` takes any other image"),
        (5, ["--framework", "nope", "--no-image"], "unknown framework 'nope'"),
        (5, ["--type", "cooking"], "or leave --type out"),
        (2, ["--description", "a\x1b[31mb"], "letter 2"),
        (2, ["--image", "Not An Image"], "not an image name"),
        (2, ["--gpus", "1", "--cpu-only"], "--cpu-only"),
        (2, ["--wait-for", "soon"], "--wait-for 2h"),
    ],
)
def test_invalid_options_are_refused_before_any_step(code: int, words: list[str], said: str, ds: CommandLine) -> None:
    before = everything(ds.harness.home("alice"))
    error = ds.fails(code, "project-init", "birds", "--quick", *words)
    assert said in error and everything(ds.harness.home("alice")) == before
    if "--description" not in words and "--no-image" not in words:
        assert said in ds.fails(code, "user-setup", "birds", "--quick", *words)
        assert everything(ds.harness.home("alice")) == before
    # Every option that is named is one of the command's.
    named = set(re.findall(r"--[a-z-]+", error)) - {"--help"}
    assert named <= {name for param in load_command("project init").params for name in param.opts}


def test_project_with_an_invalid_name_is_refused(ds: CommandLine) -> None:
    assert "invalid project name '../etc'" in ds.fails(2, "project-init", "../etc", "--quick")
