"""Render the templates in `config/project`, and write them without overwriting a user's files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds01.projects.step_result import StepResult
from ds01.system.home import Home
from ds01.system.settings import config_file

_WORD = re.compile(r"\{(\w+)\}")


def render_template(name: str, **words: str) -> str:
    """Return a template of `config/project` with the given {word}s replaced; other braces are unchanged."""
    template = config_file(f"project/{name}").read_text("utf-8")
    return _WORD.sub(lambda found: words.get(found[1], found[0]), template)  # in one pass: a value may contain braces


def load_yaml(name: str) -> Mapping[str, Any]:
    """Load a YAML file of `config/project`."""
    import yaml

    found: Mapping[str, Any] = yaml.safe_load(render_template(name))
    return found


def put_file(home: Home, path: Path, content: str, *, label: str, overwrite: bool, mode: int = 0o644) -> StepResult:
    """Write a file if it is missing; a different one is only replaced with `overwrite`."""
    existing = home.read(path)
    if existing is None and not home.exists(path):  # a broken link belongs to the user too
        home.write(path, content, mode=mode)
        return StepResult(made=(label,))
    if existing == content.encode():
        return StepResult(kept=(label,))
    if not overwrite:
        return StepResult(kept=(label,), notes=(f"{label} has other content and was not changed.",), differing=(label,))
    home.write(path, content, mode=mode)
    return StepResult(made=(label,))


def append_block(home: Home, path: Path, block: str, *, mode: int = 0o644) -> None:
    """Append a block to a file after an empty line, keeping its content and mode."""
    existing = home.read(path)
    if existing is None:
        home.write(path, block, mode=mode)
        return
    separator = "" if not existing else "\n" if existing.endswith(b"\n") else "\n\n"
    home.run(["tee", "-a", "--", str(path)], stdin=separator + block)
