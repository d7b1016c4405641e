"""The texts and templates in `config/project`, and how what ds01 writes gets into files that may be there already."""

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
    """A text of `config/project`, each {word} that is given filled in; all others stay as they stand there."""
    template = config_file(f"project/{name}").read_text("utf-8")
    return _WORD.sub(lambda found: words.get(found[1], found[0]), template)  # once: a value may have braces itself


def load_yaml(name: str) -> Mapping[str, Any]:
    """A YAML file of `config/project`."""
    import yaml

    found: Mapping[str, Any] = yaml.safe_load(render_template(name))
    return found


def put_file(home: Home, path: Path, content: str, *, label: str, overwrite: bool, mode: int = 0o644) -> StepResult:
    """Write a file if it is not there; one that says something else only with `overwrite`."""
    existing = home.read(path)
    if existing is None and not home.exists(path):  # a link that leads nowhere is somebody's, too
        home.write(path, content, mode=mode)
        return StepResult(made=(label,))
    if existing == content.encode():
        return StepResult(kept=(label,))
    if not overwrite:
        return StepResult(
            kept=(label,), notes=(f"{label} says something else, and stays as it is.",), differing=(label,)
        )
    home.write(path, content, mode=mode)
    return StepResult(made=(label,))


def append_block(home: Home, path: Path, block: str, *, mode: int = 0o644) -> None:
    """Add a block at the end of a file, after an empty line; what stands there, and its mode, stays untouched."""
    existing = home.read(path)
    if existing is None:
        home.write(path, block, mode=mode)
        return
    separator = "" if not existing else "\n" if existing.endswith(b"\n") else "\n\n"
    home.run(["tee", "-a", "--", str(path)], stdin=separator + block)
