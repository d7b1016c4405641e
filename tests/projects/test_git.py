"""A project's repository: ignored files, large files, author. Uses the real git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ds01.errors import Ds01Error, UsageError
from ds01.projects import git
from ds01.system.home import Home
from tests.harness import Harness
from tests.projects.conftest import AS_ROOT, everything, own_home

GIT = ("git", "-c", "safe.directory=*")
ADA = {"name": "Ada Lovelace", "email": "ada@example.org"}


def ask(folder: Path, *words: str) -> str:
    return subprocess.run([*GIT, *words], cwd=folder, capture_output=True, text=True, check=False).stdout.strip()


def ignored(folder: Path, *paths: str) -> set[str]:
    return set(ask(folder, "check-ignore", "--no-index", *paths).splitlines())


@pytest.fixture
def programs(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with all programs except git-lfs."""
    folder = harness.root / "programs"
    folder.mkdir()
    for name in ("git", "env", "tee", "sh"):
        (folder / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def lfs(harness: Harness, programs: Path) -> Path:
    """A stand-in for git-lfs; records its arguments."""
    called = harness.home("alice") / "called"
    (programs / "git-lfs").write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    (programs / "git-lfs").chmod(0o755)
    return called


def test_new_repository_ignores_data_and_secrets(home: Home, project: Path) -> None:
    step = git.init_repository(home, project, **ADA)
    assert git.REPOSITORY in step.made and ".gitignore" in step.made
    assert ask(project, "symbolic-ref", "HEAD") == "refs/heads/main"
    kept = {
        "notebooks/a.ipynb",
        "src/train.py",
        "data/raw/.gitkeep",
        "models/README.md",
        ".env.example",
        "src/model.pt",
    }
    out = {
        "data/raw/x.csv", "data/processed/deep/y.parquet", "models/best.pt", "checkpoints/1", ".env", ".env.local",
        "deploy.pem", "id_ed25519", "src/__pycache__/a.pyc", "notebooks/.ipynb_checkpoints/a.ipynb", ".cache/hf",
        "wandb/run", ".venv/bin/python", "kaggle.json",
    }  # fmt: skip
    assert ignored(project, *kept, *out) == out


def test_the_empty_folders_of_the_tree_can_be_committed(home: Home, project: Path) -> None:
    git.init_repository(home, project, **ADA)
    home.run(["git", "-C", str(project), "add", "-A"])
    added = ask(project, "diff", "--cached", "--name-only").splitlines()
    assert {"data/raw/.gitkeep", "models/.gitkeep", ".gitignore"} <= set(added)
    home.run(["git", "-C", str(project), "commit", "-q", "-m", "Begin"])
    assert ask(project, "log", "--format=%an <%ae>") == "Ada Lovelace <ada@example.org>"


def test_second_run_changes_nothing(home: Home, project: Path) -> None:
    git.init_repository(home, project, **ADA)
    before = everything(project)
    step = git.init_repository(home, project, **ADA)
    assert step.is_unchanged and {git.REPOSITORY, ".gitignore"} <= set(step.kept)
    assert everything(project) == before


def test_configured_default_branch_is_used(home: Home, project: Path) -> None:
    home.write(home.path / ".gitconfig", "[init]\n defaultBranch = trunk\n")
    git.init_repository(home, project)
    assert ask(project, "symbolic-ref", "HEAD") == "refs/heads/trunk"


def test_existing_commits_and_branches_are_kept(home: Home, project: Path) -> None:
    home.run(["git", "-C", str(project), "init", "-q"])
    home.run(["git", "-C", str(project), "checkout", "-q", "-b", "mine"])
    assert git.REPOSITORY in git.init_repository(home, project, **ADA).kept
    assert ask(project, "symbolic-ref", "HEAD") == "refs/heads/mine"


def test_existing_gitignore_is_only_extended_on_request(home: Home, project: Path) -> None:
    path = project / ".gitignore"
    home.write(path, b"*.bak\r\nodd\xff", mode=0o600)
    step = git.init_repository(home, project)
    assert ".gitignore" in step.differing and home.read(path) == b"*.bak\r\nodd\xff"
    git.init_repository(home, project, extend=True)
    grown = home.read(path) or b""
    assert grown.startswith(b"*.bak\r\nodd\xff\n") and path.stat().st_mode & 0o777 == 0o600
    assert ignored(project, "a.bak", "data/raw/x") == {"data/raw/x"} | ignored(project, "a.bak")
    git.init_repository(home, project, extend=True)
    assert home.read(path) == grown


def test_global_author_is_not_repeated(home: Home, project: Path) -> None:
    assert git.commit_identity(home) == (None, None)
    home.write(home.path / ".gitconfig", "[user]\n name = Ada Lovelace\n email = ada@example.org\n")
    assert git.commit_identity(home) == ("Ada Lovelace", "ada@example.org")
    git.init_repository(home, project, **ADA)
    assert ask(project, "config", "--local", "--get", "user.name") == ""


def test_author_is_set_per_repository(home: Home, project: Path) -> None:
    home.write(home.path / ".gitconfig", "[user]\n name = Ada Lovelace\n")
    step = git.init_repository(home, project, name="Ada (work)", email="ada@work.example")
    assert "user.name Ada (work)" in step.made
    assert git.commit_identity(home, project) == ("Ada (work)", "ada@work.example")
    assert git.commit_identity(home) == ("Ada Lovelace", None)
    step = git.init_repository(home, project, name="Somebody", email="ada@work.example")
    assert step.is_unchanged and git.commit_identity(home, project)[0] == "Ada (work)"
    assert any("Ada (work)" in note for note in step.notes)


def test_missing_author_names_the_command(home: Home, project: Path) -> None:
    notes = " ".join(git.init_repository(home, project).notes)
    assert "git config --global user.name" in notes and "git config --global user.email" in notes


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "\x1b[2J"])
def test_invalid_commit_name_is_refused(name: str, home: Home, project: Path) -> None:
    with pytest.raises(UsageError):
        git.init_repository(home, project, name=name)
    assert not (project / ".git").exists()


@pytest.mark.parametrize("email", ["ada", "@", "a b@c", "a@b>c", "a@b\n[core]", "x" * 300 + "@b"])
def test_invalid_email_address_is_refused(email: str, home: Home, project: Path) -> None:
    with pytest.raises(UsageError):
        git.init_repository(home, project, email=email)


def test_a_name_that_looks_like_an_option_is_a_name(home: Home, project: Path) -> None:
    git.init_repository(home, project, name="--global", email="-a@b")
    assert git.commit_identity(home, project) == ("--global", "-a@b")
    assert git.commit_identity(home) == (None, None)


def test_large_files_use_lfs_if_installed(home: Home, project: Path, lfs: Path) -> None:
    step = git.init_repository(home, project)
    assert ".gitattributes" in step.made and lfs.read_text() == "install --local\n"
    assert ask(project, "check-attr", "filter", "src/model.safetensors").endswith(": lfs")
    assert ask(project, "check-attr", "filter", "src/train.py").endswith(": unspecified")
    assert git.init_repository(home, project).is_unchanged


def test_broken_lfs_is_skipped_with_a_note(home: Home, project: Path, programs: Path) -> None:
    (programs / "git-lfs").write_text("#!/bin/sh\necho 'Hook already exists: pre-push' >&2; exit 2\n")
    (programs / "git-lfs").chmod(0o755)
    step = git.init_repository(home, project)
    assert ".gitattributes" not in step.made and "Hook already exists" in " ".join(step.notes)


def test_lfs_can_be_left_out(home: Home, project: Path, lfs: Path) -> None:
    git.init_repository(home, project, lfs=False)
    assert not (project / ".gitattributes").exists() and not lfs.exists()


def test_without_lfs_large_files_are_not_promised(home: Home, project: Path, programs: Path) -> None:
    step = git.init_repository(home, project)
    assert not (project / ".gitattributes").exists() and "git-lfs is not installed" in " ".join(step.notes)
    with pytest.raises(Ds01Error, match="git-lfs is not installed"):
        git.init_repository(home, project, lfs=True)


def test_directory_inside_another_repository_gets_a_note(home: Home, project: Path) -> None:
    home.run(["git", "-C", str(home.path), "init", "-q"])
    step = git.init_repository(home, project)
    assert git.REPOSITORY in step.made and any("another repository" in note for note in step.notes)
    assert (project / ".git").is_dir()
    assert not any("another repository" in note for note in git.init_repository(home, project).notes)


def test_broken_repository_is_an_error_with_gits_message(home: Home, project: Path) -> None:
    home.write(project / ".git", "nonsense")
    with pytest.raises(Ds01Error) as caught:
        git.init_repository(home, project)
    assert "gitfile" in (caught.value.why or "") and home.read(project / ".git") == b"nonsense"


def test_without_git_the_hint_says_how_to_get_it(home: Home, project: Path, programs: Path) -> None:
    (programs / "git").unlink()
    with pytest.raises(Ds01Error) as caught:
        git.init_repository(home, project)
    assert "apt install git" in (caught.value.hint or "")


@AS_ROOT
def test_foreign_repository_is_not_ignored(home: Home, project: Path) -> None:
    home.write(home.path / ".gitconfig", "[init]\n defaultBranch = trunk\n")
    subprocess.run([*GIT, "init", "-q"], cwd=project, check=True)
    for path in (project, *project.rglob("*")):
        os.chown(path, 0, 0)
        path.chmod(0o777)
    with pytest.raises(Ds01Error) as caught:
        git.init_repository(home, project)
    assert "ownership" in (caught.value.why or "") and not (project / ".gitignore").exists()


def test_repository_in_the_environment_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    git.init_repository(own_home(str(tmp_path)), tmp_path / "project")
    assert not (tmp_path / "elsewhere").exists() and (tmp_path / "project" / ".git").is_dir()
