"""`packaging/describe`: manual pages and completions of every command, which each shell can read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ds01 import commands

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    subprocess.run([sys.executable, TOP / "packaging" / "describe", folder], check=True, env=environment)
    return folder


def test_each_command_and_each_program_has_a_page(texts: Path) -> None:
    pages = {page.stem for page in (texts / "man").iterdir()}
    by_words = (commands.display_name(words).replace(" ", "-") for words in commands.COMMANDS)
    assert pages == {"ds01", "resource-limits.yaml", *commands.program_names(), *by_words}


def test_a_page_says_what_the_help_says(texts: Path) -> None:
    page = (texts / "man" / "container-create.1").read_text()
    assert "\n.SH EXAMPLE\n" in page
    for option in ("gpu\\-type", "workspace", "json", "help"):
        assert f"\\-\\-{option}" in page


def test_no_text_is_taken_for_a_command_of_groff(texts: Path) -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("no groff to read the manual pages with")
    for page in (texts / "man").glob("*.1"):
        command = [groff, "-man", "-ww", "-z", "-Kutf8", "-Tutf8", f"-I{texts}"]
        if not page.read_text().startswith(".so "):
            read = subprocess.run([*command, page], capture_output=True, text=True, check=True)
            assert read.stderr == "", page.name


@pytest.mark.parametrize(("shell", "pattern"), [("bash", "bash/*"), ("zsh", "zsh/*"), ("fish", "fish/*.fish")])
def test_the_shell_can_read_its_completions(texts: Path, shell: str, pattern: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} to read its completions with")
    found = list(texts.glob(pattern))
    assert found
    for path in found:
        read = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), path.name
