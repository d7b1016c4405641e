"""The host with the package installed, as a fixture; and one without, for the package's own tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.machine import Host
from tests.nvml import standin
from tests.server import GPUS

TOP = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a run may have to build the package, and the image of the host."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def host_parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The parts of a host: the image, and the directory with the stand-in for NVML."""
    if os.geteuid() != 0:
        pytest.skip("a whole host is root's to make")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a whole host needs a Docker engine")
    if standin.compiler() is None:
        pytest.skip("needs a C compiler")
    made = subprocess.run([TOP / "packaging" / "host-image"], check=True, stdout=subprocess.PIPE, text=True)
    return made.stdout.strip(), standin.build(tmp_path_factory.mktemp("nvml"), file=GPUS)


@pytest.fixture(scope="session")
def installed_host(host_parts: tuple[str, Path], package: Path) -> Iterator[Host]:
    """The one host of all tests that do not change what is installed."""
    host = Host(*host_parts)
    try:
        host.install(package)
        host.allow_containers()
        host.shipped_policy = host.read("/etc/ds01/resource-limits.yaml")
        yield host
    finally:
        host.close()


@pytest.fixture
def host(installed_host: Host) -> Iterator[Host]:
    """A host with ds01, the shipped policy, two A100, people, an image, and no container; cron does not run."""
    yield installed_host
    installed_host.reset()


@pytest.fixture(scope="module")
def bare_host(host_parts: tuple[str, Path]) -> Iterator[Host]:
    """A host without ds01."""
    host = Host(*host_parts)
    try:
        yield host
    finally:
        host.close()
