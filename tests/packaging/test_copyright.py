"""What debian/copyright says of the libraries that the program has frozen into it."""

from __future__ import annotations

import re
from importlib.metadata import packages_distributions
from pathlib import Path

from PyInstaller.archive.readers import CArchiveReader

COPYRIGHT = Path(__file__).resolve().parents[2] / "debian" / "copyright"


def test_every_frozen_library_is_named(program: Path) -> None:
    archive = CArchiveReader(str(program.resolve())).open_embedded_archive("PYZ.pyz")
    modules = {name.partition(".")[0] for name in archive.toc}
    libraries = {library for module in modules for library in packages_distributions().get(module, ())} - {"ds01"}
    assert libraries >= {"click", "docker", "PyYAML"}
    named = re.split(r"[^a-z0-9-]+", COPYRIGHT.read_text().lower())
    assert [name for name in libraries if re.sub(r"[_.]", "-", name).lower() not in named] == []
