"""`packaging/release`: what is wrong is listed at once, and nothing is built then."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RELEASE = Path(__file__).resolve().parents[3] / "packaging" / "release"
FILES = {
    "pyproject.toml": '[project]\nname = "ds01"\nversion = "1.2.0"\n',
    "ds01/__init__.py": '__version__ = "1.2.0"\n',
    "debian/changelog": "ds01 (1.2.0) unstable; urgency=medium\n\n  * New.\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.2.0, 2026-11-30\n\n- New.\n\n## 1.1.0, 2026-10-01\n",
    ".gitignore": "dist/\ncalled\n",
    "packaging/test": '#!/bin/sh\necho test >>"$(dirname "$0")/../called"\nexit 0\n',
    "packaging/build-deb": '#!/bin/sh\necho "build-deb $*" >>"$(dirname "$0")/../called"\nexit 0\n',
}

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git, which a release is checked with")


class Checkout:
    """A checkout that could be released, whose tests and build only note that they were called."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for name, text in FILES.items():
            self.write(name, text)
        (top / "packaging" / "release").write_bytes(RELEASE.read_bytes())
        for name in ("test", "build-deb"):
            (top / "packaging" / name).chmod(0o755)
        self.git("init", "--quiet")
        self.commit()

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", self.top, *who, *words], check=True, capture_output=True)

    def write(self, name: str, text: str) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")

    def release(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, self.top / "packaging" / "release", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(self.top), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout

    @property
    def called(self) -> list[str]:
        path = self.top / "called"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_tree_that_is_ready_is_built_and_what_is_left_is_listed(checkout: Checkout) -> None:
    code, out = checkout.release("--tests", "out")
    assert (code, checkout.called) == (0, ["test", "build-deb --lint out"])
    assert "WRONG" not in out
    assert "git tag --sign v1.2.0" in out and "out/ds01_1.2.0_amd64.deb" in out


def test_the_checks_alone_build_nothing(checkout: Checkout) -> None:
    assert checkout.release("--check")[0] == 0
    assert checkout.called == []


def test_without_tests_it_builds_at_once(checkout: Checkout) -> None:
    assert checkout.release("--no-tests", "out")[0] == 0
    assert checkout.called == ["build-deb --lint out"]


@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        ("pyproject.toml", "1.2.0", "1.3.0", "ds01/__init__.py: it has 1.2.0, not 1.3.0"),
        ("pyproject.toml", "1.2.0", "1.2", "version 1.2 in pyproject.toml: not X.Y.Z"),
        ("ds01/__init__.py", "1.2.0", "1.1.0", "ds01/__init__.py: it has 1.1.0, not 1.2.0"),
        ("debian/changelog", "1.2.0", "1.1.0", "debian/changelog: it has 1.1.0, not 1.2.0"),
        ("debian/changelog", "unstable", "UNRELEASED", "it says UNRELEASED"),
        ("CHANGELOG.md", "## 1.2.0, 2026-11-30\n", "", "it has 1.1.0, not 1.2.0"),
        ("CHANGELOG.md", "2026-11-30", "not released yet", "it says 'not released yet'"),
    ],
)
def test_what_does_not_agree_is_refused(checkout: Checkout, name: str, before: str, after: str, told: str) -> None:
    assert before in FILES[name]
    checkout.write(name, FILES[name].replace(before, after))
    checkout.commit()
    code, out = checkout.release("--no-tests")
    assert (code, checkout.called) == (1, [])
    assert any(line.startswith("WRONG") and told in line for line in out.splitlines()), out


def test_everything_that_is_wrong_comes_at_once(checkout: Checkout) -> None:
    checkout.write("debian/changelog", "")
    checkout.write("new file", "")
    checkout.git("tag", "v1.2.0")
    code, out = checkout.release("--no-tests")
    wrong = [line for line in out.splitlines() if line.startswith("WRONG")]
    assert (code, len(wrong)) == (1, 3)
    assert "debian/changelog" in wrong[1] and "new file" in wrong[1]
    assert "v1.2.0" in wrong[2]


def test_nobody_at_a_terminal_has_to_say_what_of_the_tests(checkout: Checkout) -> None:
    code, out = checkout.release()
    assert (code, checkout.called) == (1, [])
    assert "--tests or --no-tests" in out


@pytest.mark.parametrize(("script", "called"), [("test", ["test"]), ("build-deb", ["test", "build-deb --lint out"])])
def test_what_fails_ends_it(checkout: Checkout, script: str, called: list[str]) -> None:
    checkout.write(f"packaging/{script}", FILES[f"packaging/{script}"].replace("exit 0", "exit 3"))
    checkout.commit()
    code, out = checkout.release("--tests", "out")
    assert (code, checkout.called) == (1, called)
    assert "git tag" not in out


def test_tests_that_change_the_tree_are_noticed(checkout: Checkout) -> None:
    checkout.write("packaging/test", '#!/bin/sh\necho >"$(dirname "$0")/../left"\n')
    checkout.commit()
    code, out = checkout.release("--tests", "out")
    assert (code, checkout.called) == (1, [])
    assert "WRONG nothing uncommitted: left" in out
