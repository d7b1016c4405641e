"""The framework catalogue: which image belongs to `pytorch`, or to `Pytorch-2.5.1`, on which GPUs.

The rows are AIME's and then the makers' own plain images, shipped as `images.yaml`; a server's own `ml_images.repo`
goes before them. The first row that fits wins, so the order of the rows says what is newest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ds01.engines.references import well_formed
from ds01.errors import Ds01Error, NotFound

# Where AIME's tools keep a server's own rows, by default; read where it exists.
SERVER_REPOS = (Path("/opt/aime-ml-containers/ml_images.repo"),)

# Only texts, lists and mappings come out of it: with a loader that types scalars, version 2.10 were the number 2.1.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_ALIASES = {"torch": "pytorch", "tf": "tensorflow"}
# From old to new: what was built for one may run on those before it, never on those after it.
_CUDA = ("CUDA", "CUDA_AMPERE", "CUDA_ADA", "CUDA_BLACKWELL")
_WORD = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_REPO_ROW = re.compile(rf"({_WORD})\s*,\s*({_WORD})\s*,\s*(\[[^\]]*\]|{_WORD})\s*,\s*([^\s,]+)\s*,?", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One row: an image, and the GPU architectures that it was made for."""

    framework: str
    version: str
    architectures: tuple[str, ...]
    image: str

    @property
    def label(self) -> str:
        """What people read, and what `lookup` takes: `Pytorch-2.5.1`."""
        return f"{self.framework}-{self.version}"


@dataclass(frozen=True)
class Catalogue:
    """All rows, the first that fits first; and what the images of a framework have already, by names that pip knows."""

    entries: tuple[Entry, ...]
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def frameworks(self) -> tuple[str, ...]:
        """Each framework once, in the order of the rows."""
        named: dict[str, str] = {}
        for entry in self.entries:
            named.setdefault(entry.framework.casefold(), entry.framework)
        return tuple(named.values())

    def provides_of(self, framework: str) -> tuple[str, ...]:
        """What all images of a framework have already; nothing is known of one that a server added."""
        known = {name.casefold(): packages for name, packages in self.provides.items()}
        return known.get(framework.casefold(), ())


def load(path: Path, repos: Iterable[Path] = SERVER_REPOS) -> Catalogue:
    """The catalogue in `path`, with those of `repos` that can be read before it. Raises Ds01Error if `path` is not one.

    A server's rows come first, since somebody put them there for this server.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _LOADER)  # noqa: S506  makes texts only
        entries, provides = _entries(document), _provides(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise Ds01Error(f"the image catalogue {path} cannot be read", why=str(error)) from error
    own = [entry for repo in repos for entry in read_repo(_text(repo))]
    return Catalogue(tuple(dict.fromkeys([*own, *entries])), provides)


def read_repo(text: str) -> tuple[Entry, ...]:
    """The rows of an `ml_images.repo` of AIME's tools, v1 or v2. A line that is not a row is passed over."""
    entries = []
    for line in text.splitlines():
        match = _REPO_ROW.fullmatch(line.strip())
        if match is None:
            continue
        framework, version, architectures, image = match.groups()
        words = tuple(re.findall(_WORD, architectures))
        if words and well_formed(image):
            entries.append(Entry(framework, version, words, image))
    return tuple(entries)


def is_framework(catalogue: Catalogue, text: str) -> bool:
    """Whether `text` means a framework, with or without a version, be that version known or not.

    `torch-experiments` is no framework: a version begins with a digit, or is one of the catalogue's.
    """
    framework, version = _parted(catalogue, text)
    if framework is None or version is None:
        return framework is not None
    rows = _rows(catalogue, framework)
    return version[:1].isdecimal() or any(entry.version.casefold() == version for entry in rows)


def lookup(catalogue: Catalogue, text: str, architecture: str | None = None) -> Entry:
    """The row for `FRAMEWORK` or `FRAMEWORK-VERSION`, in any case. Raises NotFound, naming what there is.

    With the server's architecture known, a row of exactly that one wins; next, if a version was asked for, one of the
    nearest newer architecture, which runs if the driver is new enough. Otherwise the first row.
    """
    framework, version = _parted(catalogue, text)
    if framework is None:
        known = ", ".join(catalogue.frameworks)
        raise NotFound(f"no framework {text!r}", why=f"there are {known}", hint="any other image: --image NAME")
    rows = _rows(catalogue, framework)
    if version is not None:
        matching = [entry for entry in rows if entry.version.casefold() == version]
        if not matching:
            raise _no_version(text, version, rows)
        rows = matching
    if architecture is None:
        return rows[0]
    for wanted in (architecture,) if version is None else (architecture, *_newer(architecture)):
        for entry in rows:
            if wanted in entry.architectures:
                return entry
    raise _no_architecture(text, architecture, rows, _rows(catalogue, framework))


def architecture_of(model: str) -> str | None:
    """AIME's word for what an NVIDIA GPU is, from its name (NVML's, or a simulated one); None: not known."""
    name = model.casefold().replace("_", " ")
    return next((architecture for pattern, architecture in _MODELS if re.search(pattern, name)), None)


def _entries(document: Any) -> list[Entry]:
    """The rows of `images.yaml`. Raises ValueError if it has another form."""
    try:
        return [
            Entry(framework, row["version"], tuple(row["architectures"]), row["image"])
            for framework, rows in document.items()
            if framework != "provides"
            for row in rows
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("it has to be FRAMEWORK: [{version: …, architectures: […], image: …}, …]") from error


def _provides(document: Any) -> dict[str, tuple[str, ...]]:
    """What stands under `provides`. Raises ValueError if it has another form."""
    provides = document.get("provides", {})
    if not isinstance(provides, dict) or not all(isinstance(packages, list) for packages in provides.values()):
        raise ValueError("it has to be provides: {FRAMEWORK: [PACKAGE, …], …}")
    return {framework: tuple(packages) for framework, packages in provides.items()}


def _text(repo: Path) -> str:
    """What stands in a server's own file; nothing, if it is not there or not for us: ds01 has its own rows."""
    try:
        return repo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _parted(catalogue: Catalogue, text: str) -> tuple[str | None, str | None]:
    """Framework and version in lower case; None for what is not there."""
    text = text.strip().casefold()
    known = {framework.casefold(): framework.casefold() for framework in catalogue.frameworks}
    # The longest first: a server may call a framework `Pytorch-nightly`.
    for word in sorted({**_ALIASES, **known}, key=len, reverse=True):
        framework = known.get(word) or _ALIASES[word]
        if framework in known and (text == word or text.startswith(f"{word}-")):
            return framework, text[len(word) + 1 :] or None
    return None, None


def _rows(catalogue: Catalogue, framework: str) -> list[Entry]:
    return [entry for entry in catalogue.entries if entry.framework.casefold() == framework]


def _newer(architecture: str) -> tuple[str, ...]:
    """The architectures after this one, the nearest first; none for what is not CUDA."""
    return _CUDA[_CUDA.index(architecture) + 1 :] if architecture in _CUDA else ()


def _no_version(text: str, version: str, rows: list[Entry]) -> NotFound:
    import difflib  # only an error needs it

    versions = list(dict.fromkeys(entry.version for entry in rows))
    near = [one for one in versions if one.casefold().startswith(version)][:5]
    near = near or difflib.get_close_matches(version, versions, n=5, cutoff=0.5) or versions[:5]
    name = rows[0].framework
    return NotFound(
        f"no version {text!r}",
        why=f"the nearest are {', '.join(f'{name}-{one}' for one in near)}",
        hint=f"{name.casefold()} alone takes the newest; any other image: --image NAME",
    )


def _no_architecture(text: str, architecture: str, rows: list[Entry], all_rows: list[Entry]) -> NotFound:
    """Nothing for these GPUs: what the asked one was made for, and what of this framework would fit."""
    made_for = ", ".join(dict.fromkeys(one for entry in rows for one in entry.architectures))
    fitting = dict.fromkeys(entry.label for entry in all_rows if architecture in entry.architectures)
    why = f"its images are for {made_for}"
    if fitting:
        why += f"; for {architecture} there are {', '.join(list(fitting)[:5])}"
    hint = f"to try it all the same: --image {rows[0].image}"
    return NotFound(f"no image of {text!r} for GPUs of {architecture}", why=why, hint=hint)


# NVIDIA gives one number to GPUs of several generations (Quadro RTX 6000, RTX A6000, RTX 6000 Ada, RTX PRO 6000
# Blackwell): the words come before the numbers, and the first pattern that is found wins.
_MODELS = (
    (r"\bblackwell\b", "CUDA_BLACKWELL"),
    (r"\bada\b", "CUDA_ADA"),
    (r"\bpascal\b|\bquadro (rtx|gv|gp|p|t)", "CUDA"),
    (r"rtx ?50[5-9]\d|\bg?b\d{2,3}[a-z]?\b", "CUDA_BLACKWELL"),
    # RTX6000 alone is what ds01's simulated GPUs call the one of Ada's generation.
    (r"rtx ?40[5-9]\d|\bl\d{1,2}[a-z]?\b|\bg?h\d{2,3}[a-z]?\b|\brtx6000\b", "CUDA_ADA"),
    (r"rtx ?30[5-9]\d|\ba\d{1,4}[a-z]?\b", "CUDA_AMPERE"),
    (r"rtx ?20[6-8]\d|gtx ?1[06]\d\d|\bgt ?10\d\d|titan ?(rtx|v|xp)\b", "CUDA"),
    (r"\bg?v100[a-z]?\b|\b(gp100|p\d{1,3})\b|\bt\d{1,4}[a-z]?\b", "CUDA"),
)
