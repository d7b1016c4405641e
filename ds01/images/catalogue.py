"""The framework catalogue: the image for `pytorch` or `Pytorch-2.5.1`, depending on the server's GPUs.

`images.yaml` has AIME's rows, then the publishers' plain images; a server's own `ml_images.repo` comes before them.
Without a version, the newest version wins among the rows that fit the server's GPUs; of rows with the same version,
the first one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

import yaml

from ds01.dataclass import dataclass
from ds01.engines.references import is_reference
from ds01.errors import Ds01Error, NotFound

# Where AIME's tools keep a server's own rows by default; read if it exists.
SERVER_REPO_FILES = (Path("/opt/aime-ml-containers/ml_images.repo"),)

# Returns only texts, lists and mappings: a loader that types scalars would read version 2.10 as the number 2.1.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_ALIASES = {"torch": "pytorch", "tf": "tensorflow"}
# From old to new: an image for one may run on older GPUs, never on newer ones.
_CUDA = ("CUDA", "CUDA_AMPERE", "CUDA_ADA", "CUDA_BLACKWELL")
_AIME = "aimehub/"
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_WORD = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_REPO_ROW = re.compile(rf"({_WORD})\s*,\s*({_WORD})\s*,\s*(\[[^\]]*\]|{_WORD})\s*,\s*([^\s,]+)\s*,?", re.ASCII)


@dataclass(frozen=True)
class CatalogueEntry:
    """One row: an image, and the GPU architectures that it was built for."""

    framework: str
    version: str
    architectures: tuple[str, ...]
    image: str

    @property
    def label(self) -> str:
        """The label to show, which `find_entry` accepts: `Pytorch-2.5.1`."""
        return f"{self.framework}-{self.version}"


@dataclass(frozen=True)
class Catalogue:
    """All rows, the server's first; `provides`: packages in the images of a framework, by pip's names.

    `server_entries`: rows written for this server, which win over newer versions. AIME's rows do not count as such,
    since a server with AIME's tools has their whole catalogue in its file.
    """

    entries: tuple[CatalogueEntry, ...]
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    server_entries: frozenset[CatalogueEntry] = frozenset()

    @property
    def frameworks(self) -> tuple[str, ...]:
        """The frameworks, in the order of the rows."""
        names_by_key: dict[str, str] = {}
        for entry in self.entries:
            names_by_key.setdefault(entry.framework.casefold(), entry.framework)
        return tuple(names_by_key.values())

    def provides_of(self, framework: str) -> tuple[str, ...]:
        """Return the packages in all images of a framework; empty for one that the server added."""
        by_folded_name = {name.casefold(): packages for name, packages in self.provides.items()}
        return by_folded_name.get(framework.casefold(), ())


def load_catalogue(path: Path, repos: Iterable[Path] = SERVER_REPO_FILES) -> Catalogue:
    """Load the catalogue at `path`, with the readable ones of `repos` before it. Raises Ds01Error if `path` is invalid.

    A server's rows come first, since they were written for this server.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _LOADER)  # noqa: S506  returns texts only
        entries, provides = _entries(document), _provides(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise Ds01Error(f"the image catalogue {path} cannot be read", why=str(error)) from error
    server = [entry for repo in repos for entry in parse_repo(_text(repo))]
    preferred = frozenset(entry for entry in server if not entry.image.startswith(_AIME)).difference(entries)
    return Catalogue(tuple(dict.fromkeys([*server, *entries])), provides, preferred)


def parse_repo(text: str) -> tuple[CatalogueEntry, ...]:
    """Parse an `ml_images.repo` of AIME's tools, v1 or v2. Other lines are skipped."""
    entries = []
    for line in text.splitlines():
        match = _REPO_ROW.fullmatch(line.strip())
        if match is None:
            continue
        framework, version, architectures, image = match.groups()
        words = tuple(re.findall(_WORD, architectures))
        if words and is_reference(image):
            entries.append(CatalogueEntry(framework, version, words, image))
    return tuple(entries)


def is_framework(catalogue: Catalogue, text: str) -> bool:
    """Return whether `text` names a framework, with or without a version, known or not.

    `torch-experiments` does not: a version begins with a digit, or is in the catalogue.
    """
    framework, version = _split_label(catalogue, text)
    if framework is None or version is None:
        return framework is not None
    rows = _framework_entries(catalogue, framework)
    return version[:1].isdecimal() or any(entry.version.casefold() == version for entry in rows)


def find_entry(catalogue: Catalogue, text: str, *architectures: str | None) -> CatalogueEntry:
    """Return the row for `FRAMEWORK` or `FRAMEWORK-VERSION`, in any case. Raises NotFound with the known names.

    `architectures`: those of the server's GPUs; None is unknown, and then the first row is returned. A row for all of
    them wins. If a version was given, or the GPUs differ, the next choice is a row for newer GPUs, which runs if the
    driver is new enough; and for GPUs that differ, a row that fits most of them.
    """
    framework, version = _split_label(catalogue, text)
    if framework is None:
        by_folded_name = ", ".join(catalogue.frameworks)
        raise NotFound(
            f"unknown framework {text!r}", why=f"known: {by_folded_name}", hint="`--image NAME` takes any other image"
        )
    rows = _framework_entries(catalogue, framework)
    if version is not None:
        matching = [entry for entry in rows if entry.version.casefold() == version]
        if not matching:
            raise _unknown_version(text, version, rows)
        rows = matching
    wanted = tuple(dict.fromkeys(architecture for architecture in architectures if architecture is not None))
    if not wanted:
        return rows[0]
    fitting = entries_for(rows, wanted)
    if not fitting and (version is not None or len(wanted) > 1):
        fitting = _nearest_entries(rows, wanted)
    if not fitting and len(wanted) > 1:
        fitting = _entries_for_most(rows, wanted)
    if not fitting:
        raise _no_matching_architecture(text, wanted, rows, _framework_entries(catalogue, framework))
    preferred = [entry for entry in fitting if entry in catalogue.server_entries]
    return max(preferred or fitting, key=_version_numbers)  # of equals the first one


def entries_for(entries: Iterable[CatalogueEntry], architectures: Iterable[str]) -> list[CatalogueEntry]:
    """Return the rows that were built for all these architectures."""
    wanted = set(architectures)
    return [entry for entry in entries if wanted.issubset(entry.architectures)]


def frameworks_for(catalogue: Catalogue, *architectures: str | None) -> tuple[str, ...]:
    """Return the frameworks with an image for GPUs of these architectures; all if none is known."""
    found = []
    for framework in catalogue.frameworks:
        with suppress(NotFound):
            find_entry(catalogue, framework, *architectures)
            found.append(framework)
    return tuple(found)


def frameworks_for_cuda(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the frameworks with an image for any NVIDIA GPU, or whose rows name none of AIME's architectures."""
    amd = re.compile(r"ROCM\d*", re.IGNORECASE)
    return tuple(
        framework
        for framework in catalogue.frameworks
        if any(
            not amd.fullmatch(item)
            for row in _framework_entries(catalogue, framework.casefold())
            for item in row.architectures
        )
    )


def versions_for(catalogue: Catalogue, framework: str, *architectures: str | None) -> tuple[str, ...]:
    """Return a framework's versions for GPUs of these architectures, newest first."""
    rows = _framework_entries(catalogue, framework.casefold())
    wanted = [architecture for architecture in architectures if architecture is not None]
    fitting = entries_for(rows, wanted) or (_nearest_entries(rows, wanted) if len(wanted) > 1 else [])
    return tuple(dict.fromkeys(entry.version for entry in sorted(fitting, key=_version_numbers, reverse=True)))


def explain_choice(entry: CatalogueEntry, *architectures: str | None) -> str | None:
    """Return why this row was chosen for GPUs of several architectures; None if there is only one, or it is unknown."""
    wanted = tuple(dict.fromkeys(architecture for architecture in architectures if architecture is not None))
    if len(wanted) < 2:
        return None
    gpus = f"This server's GPUs are of several architectures ({', '.join(wanted)})."
    unmatched = [architecture for architecture in wanted if architecture not in entry.architectures]
    if not unmatched:
        return f"{gpus} {entry.label} was built for all of them."
    older = [item for item in unmatched if set(_newer(item)).intersection(entry.architectures)]
    unsupported = [item for item in unmatched if item not in older]
    parts = [f"{gpus} No image was built for all of them; {entry.label} was built for {', '.join(entry.architectures)}"]
    parts += [f"runs on {', '.join(older)} if the driver is new enough"] if older else []
    parts += [f"does not run on {', '.join(unsupported)}"] if unsupported else []
    return ", and ".join(parts) + "."


def architecture_of(model: str) -> str | None:
    """Return AIME's name for the architecture of a GPU model (NVML's or a simulated one); None if unknown."""
    name = model.casefold().replace("_", " ")
    return next((architecture for pattern, architecture in _MODELS if re.search(pattern, name)), None)


def _entries(document: Any) -> list[CatalogueEntry]:
    """Parse the rows of `images.yaml`. Raises ValueError if it has another form."""
    try:
        return [
            CatalogueEntry(framework, row["version"], tuple(row["architectures"]), row["image"])
            for framework, rows in document.items()
            if framework != "provides"
            for row in rows
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("it must be FRAMEWORK: [{version: …, architectures: […], image: …}, …]") from error


def _provides(document: Any) -> dict[str, tuple[str, ...]]:
    """Parse the section `provides`. Raises ValueError if it has another form."""
    provides = document.get("provides", {})
    if not isinstance(provides, dict) or not all(isinstance(packages, list) for packages in provides.values()):
        raise ValueError("it must be provides: {FRAMEWORK: [PACKAGE, …], …}")
    return {framework: tuple(packages) for framework, packages in provides.items()}


def _text(repo: Path) -> str:
    """Return the text of a server's own file; empty if it is missing or unreadable, since ds01 has its own rows."""
    try:
        return repo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _split_label(catalogue: Catalogue, text: str) -> tuple[str | None, str | None]:
    """Return framework and version in lower case; None for a missing part."""
    text = text.strip().casefold()
    by_folded_name = {framework.casefold(): framework.casefold() for framework in catalogue.frameworks}
    # Longest first: a server may call a framework `Pytorch-nightly`.
    for word in sorted({**_ALIASES, **by_folded_name}, key=len, reverse=True):
        framework = by_folded_name.get(word) or _ALIASES[word]
        if framework in by_folded_name and (text == word or text.startswith(f"{word}-")):
            return framework, text[len(word) + 1 :] or None
    return None, None


def _framework_entries(catalogue: Catalogue, framework: str) -> list[CatalogueEntry]:
    return [entry for entry in catalogue.entries if entry.framework.casefold() == framework]


def _newer(architecture: str) -> tuple[str, ...]:
    """Return the newer architectures, nearest first; empty if this one is not CUDA."""
    return _CUDA[_CUDA.index(architecture) + 1 :] if architecture in _CUDA else ()


def _unknown_version(text: str, version: str, rows: list[CatalogueEntry]) -> NotFound:
    import difflib  # only needed for an error

    versions = list(dict.fromkeys(entry.version for entry in rows))
    nearest = [item for item in versions if item.casefold().startswith(version)][:5]
    nearest = nearest or difflib.get_close_matches(version, versions, n=5, cutoff=0.5) or versions[:5]
    name = rows[0].framework
    return NotFound(
        f"unknown version {text!r}",
        why=f"the nearest are {', '.join(f'{name}-{item}' for item in nearest)}",
        hint=f"{name.casefold()} alone takes the newest; `--image NAME` takes any other image",
    )


def _nearest_entries(rows: list[CatalogueEntry], architectures: Sequence[str]) -> list[CatalogueEntry]:
    """Return the rows that run on all these GPUs if the driver is new enough: those for the oldest GPUs."""
    running = [
        entry
        for entry in rows
        if all({item, *_newer(item)}.intersection(entry.architectures) for item in architectures)
    ]
    oldest = min((_newest_architecture(entry) for entry in running), default=0)
    return [entry for entry in running if _newest_architecture(entry) == oldest]


def _entries_for_most(rows: list[CatalogueEntry], architectures: Sequence[str]) -> list[CatalogueEntry]:
    """Return the rows that were built for most of these architectures."""
    counts = {entry: len(set(architectures).intersection(entry.architectures)) for entry in rows}
    most = max(counts.values(), default=0)
    return [entry for entry in rows if most and counts[entry] == most]


def _newest_architecture(entry: CatalogueEntry) -> int:
    """Return the position of a row's newest architecture, from old to new."""
    return max((_CUDA.index(item) for item in entry.architectures if item in _CUDA), default=len(_CUDA))


def _version_numbers(entry: CatalogueEntry) -> tuple[int, ...]:
    """Return the version as numbers, without a suffix such as `-aime`."""
    found = _NUMBER.match(entry.version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _no_matching_architecture(
    text: str, architectures: Sequence[str], rows: list[CatalogueEntry], all_rows: list[CatalogueEntry]
) -> NotFound:
    """Return the error for a framework without an image for these GPUs, naming what exists and what would fit."""
    made_for_text = ", ".join(dict.fromkeys(item for entry in rows for item in entry.architectures))
    gpus = ", ".join(architectures)
    newest_first = sorted(entries_for(all_rows, architectures), key=_version_numbers, reverse=True)
    fitting = dict.fromkeys(entry.label for entry in newest_first)
    why = f"its images are for {made_for_text}"
    if fitting:
        why += f"; for {gpus} there are {', '.join(list(fitting)[:5])}"
    hint = f"to try it anyway: --image {rows[0].image}"
    return NotFound(f"no image of {text!r} for GPUs of {gpus}", why=why, hint=hint)


# NVIDIA gives one number to GPUs of several generations (Quadro RTX 6000, RTX A6000, RTX 6000 Ada, RTX PRO 6000
# Blackwell): the words come before the numbers, and the first match wins.
_MODELS = (
    (r"\bblackwell\b", "CUDA_BLACKWELL"),
    (r"\bada\b", "CUDA_ADA"),
    (r"\bpascal\b|\bquadro (rtx|gv|gp|p|t)", "CUDA"),
    (r"rtx ?50[5-9]\d|\bg?b\d{2,3}[a-z]?\b", "CUDA_BLACKWELL"),
    # RTX6000 alone is ds01's simulated model of the Ada generation.
    (r"rtx ?40[5-9]\d|\bl\d{1,2}[a-z]?\b|\bg?h\d{2,3}[a-z]?\b|\brtx6000\b", "CUDA_ADA"),
    (r"rtx ?30[5-9]\d|\ba\d{1,4}[a-z]?\b", "CUDA_AMPERE"),
    (r"rtx ?20[6-8]\d|gtx ?1[06]\d\d|\bgt ?10\d\d|titan ?(rtx|v|xp)\b", "CUDA"),
    (r"\bg?v100[a-z]?\b|\b(gp100|p\d{1,3})\b|\bt\d{1,4}[a-z]?\b", "CUDA"),
)
