"""The NVML stand-in as a fixture: compiled once, with a separate server for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nvml.standin import Server, build, compiler


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with a libnvidia-ml.so.1 that has every function."""
    if compiler() is None:
        pytest.skip("needs a C compiler")
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def server(library: Path, tmp_path: Path) -> Server:
    """A server without GPUs; each test adds its own."""
    return Server(library, tmp_path / "gpus", tmp_path / "proc")
