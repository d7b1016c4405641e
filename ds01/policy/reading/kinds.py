"""What a single text of the policy may be, beyond the forms of units: logins, slots, folders, words."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum
from pathlib import PurePosixPath

from ds01.policy import names, units, variables
from ds01.policy.reading.forms import TEXT as TEXT_SCHEMA
from ds01.policy.reading.forms import Kind
from ds01.policy.reading.shapes import matching
from ds01.policy.units import NotAllowed, show

TASKS = 4194304  # the kernel's highest process number
CORES = 8192  # the kernel's highest number of processors
# Quotes make no difference to ds01, so the schema takes a number in quotes too.
_NUMBER = "^[0-9]+([.][0-9]+)?$"
_SIZE = {"type": "string", "pattern": units.SIZE_PATTERN}


def whole(least: int, most: int = 1_000_000) -> Kind:
    """Whole numbers."""
    json = {"type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": "^[0-9]+$"}
    return Kind(lambda text: units.parse_whole(text, least, most), f"a whole number from {least} to {most}", json)


def number(least: float, most: float) -> Kind:
    """Numbers, with a fraction or without, as float."""
    return Kind(
        lambda text: units.parse_number(text, least, most),
        f"a number from {units.format_number(least)} to {units.format_number(most)}",
        {"type": ["number", "string"], "minimum": least, "maximum": most, "pattern": _NUMBER},
    )


def size_from(least: int) -> Kind:
    """Sizes of at least `least` bytes."""
    allowed = f"{units.SIZE_FORM}, at least {units.readable_size(least)}"

    def read(text: str) -> int:
        size = units.parse_size(text)
        if size < least:
            raise NotAllowed(f"{show(text)} is too small", allowed)
        return size

    return Kind(read, allowed, _SIZE)


def one_of(kind: type[Enum]) -> Kind:
    """The members of an enum, by their values."""
    known = {str(member.value): member for member in kind}
    spelled = word(tuple(known))
    return Kind(lambda text: known[spelled.read(text)], spelled.allowed, spelled.json)


def word(known: tuple[str, ...]) -> Kind:
    """One of the `known` words."""
    spelled = matching("|".join(map(re.escape, known)), ", ".join(known))
    return spelled._replace(json={"type": "string", "enum": list(known)})


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise NotAllowed(f"{show(text)} is neither true nor false", "true or false")
    return text == "true"


def _text(text: str) -> str:
    if not text or not all(letter.isprintable() or letter in "\n\t" for letter in text):
        raise NotAllowed(f"{show(text)} is not a printable text", "a text")
    return text


def _argument(text: str) -> str:
    return _text(text) if text else text


def _reason(text: str) -> str:
    return _text(" ".join(text.split()))


_LOGIN = re.compile(r"[^\s:/,#@+~-][^\s:/,#]{0,255}")
_PROFILE_FORM = "a MIG profile like 2g.20gb, 1g.10gb+me or 1c.2g.20gb"
_PROFILE = re.compile(r"(?:mig )?((?:[1-9]\d?c\.)?[1-9]\d?g\.[1-9]\d*gb(?:[+-][a-z]+(?:\.[a-z]+)*)*)", re.ASCII)


def _profile(text: str) -> str:
    """Read a MIG profile as NVIDIA's tools print it, with any suffix, `MIG` before it or not, in any case."""
    match = _PROFILE.fullmatch(" ".join(text.casefold().split()))
    if match is None:
        raise NotAllowed(f"{show(text)} is not a MIG profile", _PROFILE_FORM)
    return match[1]


def _folder(text: str) -> str:
    path = PurePosixPath(_text(text))
    if not re.match("/[^/]", text) or ".." in path.parts:
        raise NotAllowed(f"{show(text)} is not a folder in full", "an absolute path below /, without ..")
    return str(path)


def _ulimit(text: str) -> int:
    # a count without a unit is what some of these are: files, processes
    if re.fullmatch("-1|[0-9]+", text):
        return -1 if text == "-1" else units.parse_whole(text)
    return units.parse_size(text)


def _hours(text: str) -> timedelta:
    units.parse_number(text)
    return units.parse_duration(f"{text}h")


def _login(text: str) -> str:
    if not text.isprintable() or _LOGIN.fullmatch(text) is None:
        raise NotAllowed(f"{show(text)} is not a login", LOGIN.allowed)
    return text


def _variable(text: str) -> str:
    allowed = VARIABLE.allowed
    if variables.NAME.fullmatch(text) is None:
        raise NotAllowed(f"{show(text)} is not the name of a variable", allowed)
    if variables.is_reserved(text):
        raise NotAllowed(f"{text} is set by ds01 itself", allowed)
    return text


def _variable_value(text: str) -> str:
    if "\0" in text:
        raise NotAllowed("a variable cannot hold a NUL byte", "a text")
    return text


LOGIN = Kind(
    _login, "a login, like alice or first.last@example.org", {**TEXT_SCHEMA, "pattern": f"^({_LOGIN.pattern})$"}
)
GROUP_NAME = matching(names.GROUP.pattern, f"a group: {names.GROUP_FORM}")
UNIX_GROUP = matching(r"[^\s:,#+-][^\n:,#]{0,255}", "the name of a Unix group")
BOOLEAN = Kind(_boolean, "true or false", {"type": ["boolean", "string"], "pattern": "^(true|false)$"})
DURATION = Kind(units.parse_duration, units.DURATION_FORM, {"type": "string", "pattern": units.DURATION_PATTERN})
HOURS = Kind(_hours, "a number of hours", {"type": ["number", "string"], "minimum": 0, "pattern": _NUMBER})
MEMORY = size_from(6 << 20)  # less, and Docker refuses to create the container
TEXT = Kind(_text, "a text", {**TEXT_SCHEMA, "minLength": 1})
REASON = Kind(_reason, "a text")
SLOT = matching(
    "(0|[1-9][0-9]{0,3})(:(0|[1-9][0-9]{0,3}))?", "a slot: 0 for a whole GPU, 0:1 for a MIG instance"
)._replace(json={"type": ["string", "integer"], "pattern": "^[0-9]{1,4}(:[0-9]{1,4})?$", "minimum": 0})
# names, and both kinds of addresses
HOST = matching(
    r"[A-Za-z0-9]([A-Za-z0-9._:%-]{0,251}[A-Za-z0-9])?", "the name or address of a host, like gpu.example.org"
)
PROFILE = Kind(_profile, _PROFILE_FORM, {"type": "string", "pattern": r"^([Mm][Ii][Gg] +)?[0-9]+[CcGg]\..*[Gg][Bb]"})
VARIABLE = Kind(
    _variable,
    f"a variable's name: {variables.NAME_FORM}; not {variables.PREFIX}* or {', '.join(variables.SET_BY_DS01)}",
    {
        "pattern": f"^({variables.NAME.pattern})$",
        "not": {"pattern": f"^({variables.PREFIX}.*|{'|'.join(variables.SET_BY_DS01)})$"},
    },
)
VARIABLE_VALUE = Kind(_variable_value, "a text")
ULIMIT = Kind(
    _ulimit,
    "-1 for unlimited, a count like 65536, or a size like 64m",
    {"type": ["integer", "string"], "minimum": -1, "pattern": f"^[0-9]+$|{units.SIZE_PATTERN}"},
)
FOLDER = Kind(_folder, "an absolute path below /", {"type": "string", "pattern": "^/[^/]"})
ARGUMENT = Kind(_argument, "a text")
LOGIN_OR_GROUP = Kind(
    lambda text: text if text[:1] == "@" else _login(text),
    "a login, or @ and a group",
    {**TEXT_SCHEMA, "pattern": f"^(@.*|{_LOGIN.pattern})$"},
)
