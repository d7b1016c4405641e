"""The sets of packages that an image can be given: data, shipped as `packages.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ds01.errors import Ds01Error, NotFound

# Only texts, lists and mappings come out of it.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True)
class PackageSet:
    """Python packages that go together. `system`: packages of apt that they are of use with."""

    key: str
    title: str
    summary: str
    requirements: tuple[str, ...]
    system: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageSets:
    """What there is to choose from. `system`: the packages of apt that every image gets."""

    jupyter: PackageSet
    base: PackageSet
    use_cases: tuple[PackageSet, ...]
    system: tuple[str, ...]


def load_package_sets(path: Path) -> PackageSets:
    """The sets in `path`. Raises Ds01Error if it is no such file."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _LOADER)  # noqa: S506  makes texts only
        return PackageSets(
            _parse_set("jupyter", document["jupyter"]),
            _parse_set("base", document["base"]),
            tuple(_parse_set(key, entry) for key, entry in document["use_cases"].items()),
            _parse_texts(document["system"]),
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Ds01Error(f"the sets of packages in {path} cannot be read", why=str(error)) from error


def find_use_case(sets: PackageSets, text: str) -> PackageSet:
    """The use case of a key, a title or another name for it, in any case. Raises NotFound, naming those there are."""
    wanted = text.strip().casefold()
    for item in sets.use_cases:
        if wanted in (item.key, item.title.casefold(), *item.aliases):
            return item
    known = ", ".join(f"{item.key} ({item.title})" for item in sets.use_cases)
    raise NotFound(f"no use case {text!r}", why=f"there are {known}", hint="or name the packages: --packages LIST")


def _parse_set(key: str, entry: Mapping[str, Any]) -> PackageSet:
    system, aliases = _parse_texts(entry.get("system", [])), _parse_texts(entry.get("aliases", []))
    return PackageSet(
        key, str(entry["title"]), str(entry["summary"]), _parse_texts(entry["requirements"]), system, aliases
    )


def _parse_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"it has to be a list of texts, and is {value!r}")
    return tuple(value)
