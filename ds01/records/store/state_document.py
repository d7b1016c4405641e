"""A small JSON document that the tick keeps from one pass to the next. Losing it loses no lease."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds01.system import files
from ds01.system.data import DataError, parse_json


class StateDocument:
    """A document in the state directory, readable for everybody and written by the tick."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        """Return the content; empty if it is missing, unreadable or damaged."""
        try:
            document = parse_json(files.read(self._path))
        except (OSError, DataError):
            return {}
        return document if isinstance(document, dict) else {}

    def write(self, document: Mapping[str, object]) -> None:
        """Replace the content. Raises OSError."""
        content = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        files.replace(self._path, content, mode=0o644, durable=False)
