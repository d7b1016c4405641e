"""`ds01 report --html`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import CommandLine


@pytest.fixture
def used(ds: CommandLine) -> CommandLine:
    ds.ok("container-deploy", "thesis", "pytorch", "--background")
    ds.harness.clock.advance(hours=5)
    ds.ok("tick", who="root")
    return ds


def test_an_administrator_gets_a_page_of_everybody(used: CommandLine, tmp_path: Path) -> None:
    used.ok("report", "--html", str(tmp_path / "report.html"), who="root")
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<bdi>alice</bdi>" in page and "5 h" in page


def test_others_are_not_on_a_users_page(used: CommandLine) -> None:
    page = used.ok("report", "--html", "-", who="bob")
    assert "alice" not in page and "others" in page


def test_an_anonymous_page_names_nobody(used: CommandLine) -> None:
    page = used.ok("report", "--html", "-", "--anonymous", who="root")
    assert "alice" not in page and "pytorch" not in page and "thesis" not in page


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_html_does_not_go_with(option: str, used: CommandLine) -> None:
    assert used("report", "--html", "-", option).code == 2
