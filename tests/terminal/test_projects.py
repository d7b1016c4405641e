"""The questions of the project and user commands at a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.terminal.conftest import Programs

HOST = "server.example.org"


@pytest.fixture
def birds(programs: Programs) -> Path:
    assert programs.piped("dir-create", "birds").returncode == 0
    return programs.harness.home("alice") / "workspace" / "birds"


def test_the_name_is_asked_for_until_it_is_one(programs: Programs) -> None:
    asked = programs.at_terminal("dir-create", "--guided")
    asked.expect("Name of the project: ")
    asked.type("a/b\r")
    asked.expect("invalid project name")
    asked.type("My Birds\r")
    asked.expect("The name becomes my-birds")
    asked.expect("Press Enter to continue … ")
    asked.type("\r")
    asked.expect("Created: ")
    assert asked.end() == 0
    assert (programs.harness.home("alice") / "workspace" / "my-birds" / "src").is_dir()


def test_git_asks_who_it_is_and_enter_leaves_it_open(programs: Programs, birds: Path) -> None:
    later = programs.at_terminal("git-init", "birds")
    later.expect("Your name, for commits (Enter: later): ")
    later.type("\r")
    later.expect("Your e-mail address, for commits (Enter: later): ")
    later.type("nobody\r")
    later.expect("is not an e-mail address")
    later.type("\r")
    later.expect("git config --global user.name")
    assert later.end() == 0
    now = programs.at_terminal("git-init", "birds")
    now.expect("later): ")
    now.type("Ada Lovelace\r")
    now.expect("later): ")
    now.type("ada@example.org\r")
    now.expect("user.name Ada Lovelace")
    assert now.end() == 0
    again = programs.at_terminal("git-init", "birds")
    assert again.end() == 0 and "later" not in again.seen


@pytest.mark.parametrize("answer", ["\r", "y\r"])
def test_an_own_file_is_touched_only_after_a_yes(answer: str, programs: Programs, birds: Path) -> None:
    (birds / "README.md").write_text("mine")
    (birds / ".gitignore").write_text("mine\n")
    readme = programs.at_terminal("readme-create", "birds")
    readme.expect("Replace it? [y/N]: ")
    readme.type(answer)
    assert readme.end() == 0
    git = programs.at_terminal("git-init", "birds", "--name", "Ada", "--email", "ada@example.org")
    git.expect("Add ds01's lines at the end of .gitignore? [y/N]: ")
    git.type(answer)
    assert git.end() == 0
    yes = answer != "\r"
    assert ((birds / "README.md").read_text() != "mine") == yes
    assert (birds / ".gitignore").read_text().startswith("mine\n")
    assert ((birds / ".gitignore").read_text() != "mine\n") == yes


def test_ctrl_c_at_a_question_makes_nothing(programs: Programs, birds: Path) -> None:
    asked = programs.at_terminal("git-init", "birds")
    asked.expect("Your name")
    asked.interrupt()
    assert asked.end() == 130 and "Traceback" not in asked.seen
    assert not (birds / ".git").exists()


def test_ssh_keygen_asks_for_the_passphrase_itself(programs: Programs) -> None:
    asked = programs.at_terminal("ssh-setup", "--host", HOST, DISPLAY=":0", columns=60)
    for question in ("Enter passphrase", "Enter same passphrase"):
        asked.expect(question)
        asked.type("correct horse\r")
    asked.expect("The public part")
    assert asked.end() == 0
    folder = programs.harness.home("alice") / ".ssh"
    assert (folder / "id_ed25519.pub").read_text().strip() in asked.seen, "in one line, to be copied"
    assert "correct horse" not in asked.seen and "PRIVATE KEY" not in asked.seen
    again = programs.at_terminal("ssh-setup", "--host", HOST)
    again.expect("Nothing to do")
    assert again.end() == 0


def test_ctrl_c_at_the_passphrase_leaves_no_key(programs: Programs) -> None:
    asked = programs.at_terminal("ssh-setup")
    asked.expect("Enter passphrase")
    asked.interrupt()
    assert asked.end() == 130 and "Traceback" not in asked.seen
    assert not (programs.harness.home("alice") / ".ssh" / "id_ed25519").exists()


@pytest.mark.parametrize("option", ["--no-passphrase", "-y", "-q"])
def test_no_passphrase_is_no_question(option: str, programs: Programs) -> None:
    made = programs.at_terminal("ssh-setup", option)
    assert made.end() == 0 and "Enter passphrase" not in made.seen
    assert (programs.harness.home("alice") / ".ssh" / "id_ed25519").stat().st_uid == os.getuid()


def test_what_is_copied_is_not_broken_on_a_narrow_terminal(programs: Programs) -> None:
    shown = programs.at_terminal("vscode-setup", "--host", f"{'very-' * 8}long.example.org", columns=40)
    assert shown.end() == 0
    assert f"HostName {'very-' * 8}long.example.org\n" in shown.seen
