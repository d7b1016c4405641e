"""Every command in docs/ runs, in order, on a server with the shipped policy; names in the text exist."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from ds01.commands import ALIASES, COMMANDS, hyphenated
from ds01.main import load_command
from tests.command_line import CommandLine
from tests.policy_texts import load_text

TOP = Path(__file__).parents[3]
PAGES = sorted((TOP / "docs").glob("*.md"))
GUIDES = [page for page in PAGES if "```console" in page.read_text("utf-8")]
# These look at the machine or change it: parsed here, run on a whole host by tests/host/test_examples.py.
ON_A_HOST = ("doctor", "slices apply")
OLD = "defaults: {cpus: 16, gpu_memory: null}\n"
WORDS = {hyphenated(words): words for words in COMMANDS} | ALIASES


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)


def examples(page: Path) -> list[tuple[str, str]]:
    """Each command of the console blocks, and what the page shows below it."""
    found: list[tuple[str, str]] = []
    for line in "".join(blocks(page, "console")).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        else:
            command, shown = found[-1]
            found[-1] = (command, f"{shown}{line}\n")
    return found


def parse_command_line(words: list[str]) -> tuple[str, list[str]] | None:
    """The command that a line calls, and its arguments; None if it is not one of ds01's."""
    words = words[1:] if words[:1] == ["sudo"] else words
    if words[:1] == ["ds01"]:
        words = words[1:]
        if " ".join(words[:2]) in COMMANDS:
            return " ".join(words[:2]), words[2:]
    if words and words[0] in WORDS:
        return WORDS[words[0]], words[1:]
    return None


def parse(command: str, arguments: list[str]) -> None:
    """Fails for an option that the command does not have, or for too many or too few arguments."""
    load_command(command).make_context(command, list(arguments))


def named(page: Path) -> list[str]:
    """The commands that the text names with an argument or an option, or as they are, in backquotes."""
    found = re.findall(r"`([a-z][^`\n]*)`", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE))
    return [
        text for text in found if parse_command_line(text.split()) is not None or text.startswith(("ds01 ", "sudo "))
    ]


def test_both_guides_have_examples_and_name_commands() -> None:
    assert {page.stem for page in GUIDES if len(examples(page)) > 12 and len(named(page)) > 8} == {"admin", "user"}


@pytest.mark.skipif(os.geteuid() != 0, reason="makes the workspaces of people who are played, which only root can")
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_examples_run_in_order_with_the_shown_output(
    page: Path, ds: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = (TOP / "config" / "resource-limits.yaml").read_text("utf-8")
    (ds.harness.root / "resource-limits.yaml").write_text(policy)
    (ds.harness.root / "draft.yaml").write_text(policy)
    (ds.harness.root / "old").mkdir()
    (ds.harness.root / "old" / "resource-limits.yaml").write_text(OLD)
    os.chown(ds.harness.root, ds.harness.people["alice"], -1)
    monkeypatch.chdir(ds.harness.root)
    for line, shown in examples(page):
        words = shlex.split(line)
        called = parse_command_line(words)
        assert called is not None, line
        if called[0] in ON_A_HOST:
            parse(*called)
            continue
        who = "root" if words[0] == "sudo" else "alice"
        answer = ds(*(word for word in words if word not in ("sudo", "ds01")), who=who)
        assert answer.code == 0, (line, answer)
        if shown:
            assert answer.out == shown, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_in_shell_blocks_are_ones(page: Path) -> None:
    for line in "".join(blocks(page, "sh")).splitlines():
        called = parse_command_line(shlex.split(line.partition("|")[0]))
        assert called is not None, line
        parse(*called)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_the_text_names_exists(page: Path) -> None:
    for text in named(page):
        called = parse_command_line(shlex.split(text.replace("NAME", "name").replace("LOGIN", "alice")))
        assert called is not None, text
        options = [word for word in called[1] if word.startswith("-")]
        known = {option for param in load_command(called[0]).params for option in param.opts} | {"--help"}
        assert set(options) <= known, text
        if called[1] and "--help" not in options:
            try:
                parse(*called)
            except click.MissingParameter:
                continue  # the text names the command with an option, not the whole line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_policies_are_right(page: Path, tmp_path: Path) -> None:
    base = "groups: {staff: {}}\n"
    for block in blocks(page, "yaml"):
        policy = load_text(tmp_path, block if "groups:" in block else base + block)
        assert policy.old_keys == ()


@pytest.mark.parametrize("page", [*PAGES, TOP / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", text_of(page)):
        assert (page.parent / target).exists(), target


def test_decisions_are_numbered_listed_and_complete() -> None:
    folder = TOP / "docs" / "decisions"
    records = sorted(folder.glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1)) != []
    index = (folder / "README.md").read_text("utf-8")
    for path in records:
        text = path.read_text("utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        assert title.startswith(f"{path.name[:4]}: ") and f"[{title}]({path.name})" in index
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (folder / target).exists(), target


def test_the_readme_leads_to_every_page() -> None:
    readme = (TOP / "README.md").read_text("utf-8")
    assert not [page.name for page in PAGES if f"(docs/{page.name})" not in readme]


@pytest.mark.parametrize(
    "words", ["user add", "policy check", "policy import", "emergency-stop", "slices apply", "doctor", "gpu allocate"]
)
def test_the_administrators_page_names(words: str) -> None:
    assert words in {
        called[0] for line, _ in examples(TOP / "docs" / "admin.md") if (called := parse_command_line(line.split()))
    }


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "tests/README.md", "docs/architecture.md"])
def test_the_paths_that_a_page_for_developers_names_exist(page: str) -> None:
    named = re.findall(r"`([\w.-]+/[\w./-]*)`", (TOP / page).read_text("utf-8"))
    starts = (TOP, TOP / "ds01", (TOP / page).parent)
    assert not [path for path in named if not any((start / path).exists() for start in starts)]


def test_every_module_that_tests_share_is_explained() -> None:
    page = (TOP / "tests" / "README.md").read_text("utf-8")
    shared = [path.name for path in (TOP / "tests").glob("*.py") if path.name != "conftest.py"]
    assert not [name for name in shared if f"`{name}`" not in page]
