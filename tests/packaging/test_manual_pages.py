"""The manual pages: prose from docs/man/, options from the commands, and the policy's page from docs/policy.md."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ds01 import commands, main
from ds01.policy.json_schema import key_texts
from tests import policy_page

TOP = Path(__file__).resolve().parents[2]
PROSE = sorted((TOP / "docs" / "man").glob("*.md"))
BY_PAGE = {commands.display_name(words).replace(" ", "-"): words for words in commands.COMMANDS}
# What changes or takes away something that others use, or that cannot be had again.
CONSEQUENCES = (
    "container create", "container deploy", "container start", "container run", "container stop", "container retire",
    "container remove", "container cleanup", "container extend", "container pause", "container adopt", "image create",
    "image update", "image delete", "project init",
    "gpu allocate", "gpu release", "slices apply", "emergency-stop", "tick", "doctor", "user add",
)  # fmt: skip


@pytest.fixture(scope="module")
def man(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    environment = {**os.environ, "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, TOP / "packaging" / "describe", folder], check=True, env=environment)
    return folder / "man"


@pytest.fixture(scope="module")
def converter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("markdown_to_man", TOP / "packaging" / "markdown_to_man.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(page: Path, title: str) -> str:
    found = re.search(rf"^\.SH {title}\n(.*?)(?=^\.SH |\Z)", page.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None, (page.name, title)
    return found[1]


def options_of(words: str) -> set[str]:
    params = main.load_command(words).params
    return {option for param in params for option in (*param.opts, *param.secondary_opts)} | {"--help"}


def test_prose_is_of_a_page_that_there_is() -> None:
    assert {path.stem for path in PROSE} <= {"ds01", *BY_PAGE}


@pytest.mark.parametrize("words", CONSEQUENCES)
def test_what_has_consequences_has_prose(words: str) -> None:
    text = (TOP / "docs" / "man" / f"{commands.display_name(words).replace(' ', '-')}.md").read_text()
    assert len(text.partition("\n## ")[0].split()) > 35 and "## See also" in text


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.stem)
def test_options_in_the_prose_are_the_commands_own(path: Path) -> None:
    for span in re.findall(r"`([^`\n]*--[^`\n]*)`", path.read_text("utf-8")):
        named, rest = commands.split_command(span.split()[0], span.split()[1:])
        words = named if named in commands.COMMANDS else BY_PAGE.get(path.stem, "container create")
        named_options = set(re.findall(r"--[a-z][a-z-]*", span))
        assert named_options <= options_of(words), (span, words, rest)


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.stem)
def test_commands_in_the_prose_exist(path: Path) -> None:
    spans = re.findall(r"`((?:ds01|container|image|check|user|mlc)[ -][a-z-]+(?: [a-z-]+)?)", path.read_text("utf-8"))
    for span in spans:
        program, *arguments = span.split()
        assert commands.split_command(program, arguments)[0] in commands.COMMANDS, span


@pytest.mark.parametrize("words", commands.COMMANDS)
def test_options_of_a_page_are_the_commands(words: str, man: Path) -> None:
    page = commands.display_name(words).replace(" ", "-")
    (path,) = (it for it in man.iterdir() if it.name.startswith(f"{page}.1"))
    terms = re.findall(r"^\.TP\n(\\fB.*)$", section(path, "OPTIONS"), re.MULTILINE)
    listed = {name.replace("\\-", "-") for term in terms for name in re.findall(r"\\fB(\\-.+?)\\fR", term)}
    assert {name for name in listed if name.startswith("--")} == {it for it in options_of(words) if it[:2] == "--"}


def test_the_prose_stands_in_the_page(man: Path) -> None:
    page = man / "container-stop.1"
    assert "During that hold it counts against your quota" in section(page, "DESCRIPTION")
    assert "0 also if it was stopped already" in section(page, "EXIT STATUS")
    assert "container\\-retire" in section(page, "SEE ALSO")
    assert "\\-\\-release" in section(page, "OPTIONS")
    assert "MAILBOX" not in (man / "ds01.1").read_text() and "mailbox" in (man / "ds01-tick.1").read_text()


@pytest.mark.parametrize("page", ["ds01.1", "container-create.1", "ds01-gpu-list.1"])
def test_the_exit_codes_are_numbers(page: str, man: Path) -> None:
    found = re.findall(r"^\.B (\S+)$", section(man / page, "EXIT STATUS"), re.MULTILINE)
    assert found == ["0", "1", "2", "3", "4", "5", "6", "130"]


def test_commands_with_codes_of_their_own_say_only_these(man: Path) -> None:
    assert "1 if there are warnings" in section(man / "ds01-doctor.1", "EXIT STATUS")
    assert "No GPU" not in section(man / "ds01-doctor.1", "EXIT STATUS")
    assert "125" in section(man / "container-run.1", "EXIT STATUS")


def test_every_page_that_is_pointed_to_exists(man: Path) -> None:
    pages = {path.name.partition(".1")[0].removesuffix(".5") for path in man.iterdir()}
    for path in man.iterdir():
        if not path.read_text().startswith(".so "):
            named = re.findall(r"^\.BR (\S+) \([15]\)", section(path, "SEE ALSO"), re.MULTILINE)
            assert named and {name.replace("\\-", "-") for name in named} <= pages | {"systemd.slice"}, path.name


def test_groff_takes_every_page(man: Path) -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("no groff to read the manual pages with")
    for page in (man / "resource-limits.yaml.5", man / "git-init.1ds01", *(man / f"{it.stem}.1" for it in PROSE)):
        read = subprocess.run([groff, "-man", "-ww", "-z", "-Kutf8", page], capture_output=True, text=True, check=True)
        assert read.stderr == "", page.name


def test_the_page_of_the_policy_is_as_the_code_says() -> None:
    assert policy_page.PAGE.read_text("utf-8") == policy_page.page(), "python -m tests.policy_page writes it"


def test_the_manual_of_the_policy_has_every_key(man: Path) -> None:
    text = (man / "resource-limits.yaml.5").read_text()
    assert text.startswith('.\\"') and '\n.TH "RESOURCE\\-LIMITS.YAML" 5 ' in text
    headings = set(re.findall(r"^\.S[SH] (?:\\fB)?([\w.]+?)(?:\\fR)?$", text, re.MULTILINE))
    assert {path.removeprefix("defaults.") for path in key_texts()} - {"defaults"} <= headings
    assert text.count("When changed: ") == sum("." in path for path in key_texts()) + 8


@pytest.mark.parametrize(
    ("markdown", "lines"),
    [
        ("One\n*two* `a-b`.", [".PP", "One \\fItwo\\fR \\fBa\\-b\\fR."]),
        ("- one\n  more\n- two", [".IP \\(bu 2", "one more", ".IP \\(bu 2", "two"]),
        ("`x`\n: what", [".TP", "\\fBx\\fR", "what"]),
        ("[a page](x.md) and 5 * 3", [".PP", "a page and 5 * 3"]),
        (".hidden", [".PP", "\\&.hidden"]),
        ("```sh\n.x -y\n```", [".PP", ".RS 4", ".nf", "\\&.x \\-y", ".fi", ".RE"]),
    ],
)
def test_markdown_becomes_macros(markdown: str, lines: list[str], converter: ModuleType) -> None:
    assert list(converter.macros(markdown)) == lines


@pytest.mark.parametrize("markdown", ["| a | b |", "1. one", "> said", "#### deep"])
def test_what_it_does_not_know_is_an_error(markdown: str, converter: ModuleType) -> None:
    with pytest.raises(ValueError, match="not known"):
        list(converter.macros(markdown))
