"""The file for node_exporter's textfile collector."""

from __future__ import annotations

from pathlib import Path

from ds01.system import files


def write_textfile(path: Path, text: str) -> None:
    """Replace the file atomically, readable for everybody. Raises OSError, also if its directory is missing."""
    with files.open_trusted_directory(path.parent) as directory:
        files.replace(directory / path.name, text.encode(), mode=0o644, durable=False)
