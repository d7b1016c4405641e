"""`ds01 status --html`, and the page that each tick writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ds01.host.commands import status_page
from tests.command_line import CommandLine, prepare_home_directories
from tests.harness import POLICY

TICK_WRITES = pytest.mark.in_process("with a program, a group can rename in the state directory")


def set_policy(ds: CommandLine, text: str) -> None:
    ds.harness.set_policy(POLICY + text)
    prepare_home_directories(ds.harness)


def deploy(ds: CommandLine) -> None:
    ds.ok("container-deploy", "thesis", "secret/image", "--background")


def test_the_page_goes_to_standard_output(ds: CommandLine) -> None:
    deploy(ds)
    page = ds.ok("status", "--html", "-", who="bob")
    assert page.startswith("<!doctype html>\n") and page.endswith("</html>\n")
    assert "<bdi>alice</bdi>" in page and "<bdi>thesis</bdi>" in page


def test_the_page_is_in_ascii_for_any_terminal(ds: CommandLine) -> None:
    assert ds.ok("status", "--html", "-").isascii()


@pytest.mark.parametrize("who", ["alice", "root"])
def test_images_ports_and_processes_are_on_no_page(who: str, ds: CommandLine) -> None:
    deploy(ds)
    # Without tags, whose coordinates could contain such a number.
    page = re.sub("<[^>]*>", " ", ds.ok("status", "--html", "-", who=who))
    assert "alice" in page
    for secret in ("secret", "8888", str(ds.harness.state), "70001"):
        assert secret not in page


def test_without_names_the_page_says_only_that_it_is_in_use(ds: CommandLine) -> None:
    deploy(ds)
    set_policy(ds, "status_page_names: false\n")
    page = ds.ok("status", "--html", "-", who="root")
    assert "in use" in page and "alice" not in page and "thesis" not in page


def test_the_page_goes_to_a_file(ds: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    told = ds.ok("status", "--html", str(path), who="root")
    assert str(path) in told
    assert path.read_text().startswith("<!doctype html>")


def test_a_file_that_is_no_page_stays(ds: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    ds.fails(1, "status", "--html", str(tmp_path / "notes"), who="root")
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.parametrize("option", ["--watch", "--json"])
def test_html_does_not_go_with(option: str, ds: CommandLine) -> None:
    assert ds("status", "--html", "-", option).code == 2


@TICK_WRITES
def test_each_tick_writes_the_page_of_the_policy(ds: CommandLine) -> None:
    page = ds.harness.state / "page.html"
    set_policy(ds, f"status_page: {page}\n")
    deploy(ds)
    ds.ok("tick", who="root")
    assert "<bdi>alice</bdi>" in page.read_text() and "secret" not in page.read_text()
    assert "The automation last ran" in page.read_text()
    ds.ok("container-retire", "thesis", "--force")
    ds.ok("tick", who="root")
    assert "alice" not in page.read_text()


@TICK_WRITES
def test_the_page_of_the_tick_has_names_only_if_the_policy_says_so(ds: CommandLine) -> None:
    page = ds.harness.state / "page.html"
    set_policy(ds, f"status_page: {page}\nstatus_page_names: false\n")
    deploy(ds)
    ds.ok("tick", who="root")
    assert "in use" in page.read_text() and "alice" not in page.read_text()


@TICK_WRITES
def test_a_page_that_cannot_be_written_is_an_error_of_the_tick(ds: CommandLine) -> None:
    set_policy(ds, f"status_page: {ds.harness.state}/missing/page.html\n")
    answer = ds("tick", "--json", who="root")
    assert answer.code == 1
    assert [item["action"] for item in answer.json["errors"]] == ["status_page"]
    stored = json.loads((ds.harness.state / "tick.json").read_text())
    assert [item["action"] for item in stored["errors"]] == ["status_page"]
    assert stored["last_good_at"] == stored["started_at"]  # the automation did its work


@TICK_WRITES
def test_a_page_that_cannot_be_drawn_does_not_end_the_tick(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("a mistake")

    set_policy(ds, f"status_page: {ds.harness.state}/page.html\n")
    monkeypatch.setattr(status_page, "status_page", fail)
    answer = ds("tick", "--json", who="root")
    assert [(item["action"], item["why"]) for item in answer.json["errors"]] == [
        ("status_page", "RuntimeError: a mistake")
    ]


@TICK_WRITES
def test_a_dry_run_writes_no_page(ds: CommandLine) -> None:
    set_policy(ds, f"status_page: {ds.harness.state}/page.html\n")
    ds.ok("tick", "--dry-run", who="root")
    assert not (ds.harness.state / "page.html").exists()


@TICK_WRITES
def test_with_a_broken_policy_the_page_is_still_written(ds: CommandLine) -> None:
    page = ds.harness.state / "page.html"
    set_policy(ds, f"status_page: {page}\n")
    ds.ok("tick", who="root")
    page.unlink()
    (ds.harness.root / "resource-limits.yaml").write_text("defaults: {idle_timeout: 1}\n")
    ds("tick", who="root")
    assert page.exists()


def test_a_sandbox_does_not_write_the_page_of_the_server(ds: CommandLine, tmp_path: Path) -> None:
    set_policy(ds, f"status_page: {tmp_path}/page.html\n")
    ds.ok("tick", who="root")
    assert not (tmp_path / "page.html").exists()
