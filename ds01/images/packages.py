"""The sets of packages for images, shipped as `packages.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, NotFound

# Returns only texts, lists and mappings.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True)
class PackageSet:
    """Python packages that belong together. `system`: apt packages that they need."""

    key: str
    title: str
    summary: str
    requirements: tuple[str, ...]
    system: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageSets:
    """All sets of packages. `system`: the apt packages that every image gets."""

    jupyter: PackageSet
    base: PackageSet
    use_cases: tuple[PackageSet, ...]
    system: tuple[str, ...]


def load_package_sets(path: Path) -> PackageSets:
    """Load the sets from `path`. Raises Ds01Error if the file is invalid."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _LOADER)  # noqa: S506  returns texts only
        return PackageSets(
            _parse_set("jupyter", document["jupyter"]),
            _parse_set("base", document["base"]),
            tuple(_parse_set(key, entry) for key, entry in document["use_cases"].items()),
            _parse_texts(document["system"]),
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Ds01Error(f"the sets of packages in {path} cannot be read", why=str(error)) from error


def find_use_case(sets: PackageSets, text: str) -> PackageSet:
    """Return the use case with this key, title or alias, in any case. Raises NotFound with the known ones."""
    wanted = text.strip().casefold()
    for item in sets.use_cases:
        if wanted in (item.key, item.title.casefold(), *item.aliases):
            return item
    offered = ", ".join(f"{item.key} ({item.title})" for item in sets.use_cases)
    raise NotFound(
        f"unknown use case {text!r}", why=f"known: {offered}", hint="`--packages LIST` names packages instead"
    )


def _parse_set(key: str, entry: Mapping[str, Any]) -> PackageSet:
    system, aliases = _parse_texts(entry.get("system", [])), _parse_texts(entry.get("aliases", []))
    return PackageSet(
        key, str(entry["title"]), str(entry["summary"]), _parse_texts(entry["requirements"]), system, aliases
    )


def _parse_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"it must be a list of texts, and is {value!r}")
    return tuple(value)
