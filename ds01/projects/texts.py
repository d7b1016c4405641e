"""The texts and templates in `config/project`, and how what ds01 writes gets into files that may be there already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds01.projects.steps import Step
from ds01.system.home import Home
from ds01.system.settings import config_file

_WORD = re.compile(r"\{(\w+)\}")


def text(name: str, **words: str) -> str:
    """A text of `config/project`, each {word} that is given filled in; all others stay as they stand there."""
    shipped = config_file(f"project/{name}").read_text("utf-8")
    return _WORD.sub(lambda found: words.get(found[1], found[0]), shipped)  # once: a value may have braces itself


def mapping(name: str) -> Mapping[str, Any]:
    """A YAML file of `config/project`."""
    import yaml

    found: Mapping[str, Any] = yaml.safe_load(text(name))
    return found


def put_file(home: Home, path: Path, content: str, *, called: str, overwrite: bool, mode: int = 0o644) -> Step:
    """Write a file if it is not there; one that says something else only with `overwrite`."""
    there = home.read(path)
    if there is None and not home.exists(path):  # a link that leads nowhere is somebody's, too
        home.write(path, content, mode=mode)
        return Step(made=(called,))
    if there == content.encode():
        return Step(kept=(called,))
    if not overwrite:
        return Step(kept=(called,), notes=(f"{called} says something else, and stays as it is.",), differing=(called,))
    home.write(path, content, mode=mode)
    return Step(made=(called,))


def append(home: Home, path: Path, block: str, *, mode: int = 0o644) -> None:
    """Add a block at the end of a file, after an empty line; what stands there, and its mode, stays untouched."""
    there = home.read(path)
    if there is None:
        home.write(path, block, mode=mode)
        return
    between = "" if not there else "\n" if there.endswith(b"\n") else "\n\n"
    home.run(["tee", "-a", "--", str(path)], given=between + block)
