"""The portable single file: a whole ds01 that needs nothing beside it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import ds01


def test_it_runs_alone(tmp_path: Path) -> None:
    given = os.environ.get("DS01_TEST_PORTABLE")
    if given is None:
        pytest.skip("no portable program: packaging/build-deb makes one")
    own = {"DS01_STATE": f"{tmp_path}/state", "DS01_CONFIG": f"{tmp_path}/policy.yaml", "TMPDIR": str(tmp_path)}
    simulated = {"DS01_ENGINE": "simulated", "DS01_GPUS": "simulated:1xA100", "PATH": os.defpath, "HOME": str(tmp_path)}
    (tmp_path / "policy.yaml").write_text("defaults: {}\n")
    for words, said in ((["--version"], f"ds01 {ds01.__version__}\n"), (["gpu", "list", "--free"], "GPU-0000")):
        ran = subprocess.run(
            [given, *words], env={**own, **simulated}, cwd="/", capture_output=True, text=True, check=False
        )
        assert (ran.returncode, said in ran.stdout) == (0, True), ran.stderr + ran.stdout
    assert not list(tmp_path.glob("_MEI*"))
