"""Write events to events.jsonl, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ds01.system import files
from ds01.system.data import format_time, to_json

Emit = Callable[[str, Mapping[str, Any]], None]
COMMON_KEYS = ("actor", "container", "user", "why")  # every event has these keys; null if unset


class EventLog:
    """Appends events to a file. A failed write never stops the operation that it reports."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime], mode: int = 0o664) -> None:
        self._path = path
        self._clock = clock
        self._mode = mode
        self.failure: str | None = None

    def emit(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Write the event `kind` with `fields` (JSON values). If that fails, `failure` says why.

        Missing `COMMON_KEYS` are null.
        """
        line = {"time": format_time(self._clock()), "type": kind} | dict.fromkeys(COMMON_KEYS)
        line |= {key: to_json(value) for key, value in fields.items()}
        try:
            content = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
            files.append(self._path, content, mode=self._mode)
        except OSError as error:
            self.failure = f"{self._path}: {error.strerror}"
