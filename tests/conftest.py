"""Fixtures that all tests share, and the option --program."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import GROUP
from tests.harness import Harness

MEMORY = Path("/dev/shm")
FREEZE = Path(__file__).parent.parent / "packaging" / "freeze"
BUILD = Path(__file__).parent.parent / "packaging" / "build-deb"


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "run the tests of the commands, and no others, with this program instead of in process"
    parser.addoption("--program", type=Path, metavar="PATH", help=told)


def pytest_configure() -> None:
    """Restore signals that `nohup` or a shell's `&` ignores: children inherit that."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --program, skip tests that run no command or cannot use a program, and most cases of large tables."""
    if not config.getoption("program"):
        return
    if os.geteuid() != 0:
        raise pytest.UsageError("--program: only root can start it for the people of the tests")
    cases: Counter[str] = Counter()
    kept = []
    for item in items:
        if "ds" not in getattr(item, "fixturenames", ()) or item.get_closest_marker("in_process"):
            continue
        sampled = item.get_closest_marker("sampled")
        test = item.nodeid.partition("[")[0]
        if sampled is None or cases[test] % sampled.args[0] == 0:
            kept.append(item)
        cases[test] += 1
    items[:] = kept


@pytest.fixture
def fast_tmp(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory if possible: an fsync on a disk takes a hundred times longer."""
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="ds01-test-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def harness(fast_tmp: Path, request: pytest.FixtureRequest) -> Harness:
    # With a program there are several users, who share the state as on a server.
    return Harness(fast_tmp / "bed", shared=GROUP if request.config.getoption("program") else None)


@pytest.fixture(scope="session")
def program() -> Iterator[Path]:
    """The frozen program, which all users can start, unlike a checkout in a home directory."""
    if given := os.environ.get("DS01_TEST_PROGRAM"):
        yield Path(given)
        return
    with tempfile.TemporaryDirectory(prefix="ds01-program-") as folder:
        Path(folder).chmod(0o755)
        subprocess.run([FREEZE, folder], check=True, stdin=subprocess.DEVNULL)
        yield Path(folder) / "ds01" / "ds01"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package, built from this checkout."""
    if given := os.environ.get("DS01_TEST_DEB"):
        return Path(given)
    folder = tmp_path_factory.mktemp("package")
    subprocess.run([BUILD, "--only-deb", folder], check=True, stdin=subprocess.DEVNULL)
    (made,) = folder.glob("*.deb")
    return made
