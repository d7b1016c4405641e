"""What `pip install .` gives: a whole ds01, with what lies in `config/`."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    build = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--wheel-dir", str(tmp_path), str(TOP)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *build], check=True, timeout=100)
    (wheel,) = tmp_path.glob("ds01-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder, inside in (("ds01", "ds01"), ("config", "ds01/config")):
        files = [path.relative_to(TOP / folder) for path in (TOP / folder).rglob("*") if path.is_file()]
        missing = [path for path in files if "__pycache__" not in path.parts and f"{inside}/{path}" not in names]
        assert files and not missing
    assert not [name for name in names if name.startswith(("tests/", "packaging/"))]
