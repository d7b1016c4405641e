"""Types of single values in the policy: numbers, sizes, logins, slots, directories, words."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum
from pathlib import PurePosixPath

from ds01.policy import names, units, variables
from ds01.policy.reading.node_readers import pattern_type
from ds01.policy.reading.reader_schema import TEXT_SCHEMA as TEXT_SCHEMA
from ds01.policy.reading.reader_schema import ValueType
from ds01.policy.units import InvalidValue, quote_text

MAX_TASKS = 4194304  # the kernel's highest process number
MAX_CORES = 8192  # the kernel's highest number of processors
# Quotes make no difference to ds01, so the schema accepts a quoted number too.
_NUMBER = "^[0-9]+([.][0-9]+)?$"
_SIZE = {"type": "string", "pattern": units.SIZE_PATTERN}


def integer_type(least: int, most: int = 1_000_000) -> ValueType:
    """Whole numbers."""
    json = {"type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": "^[0-9]+$"}
    return ValueType(
        lambda text: units.parse_integer(text, least, most), f"a whole number from {least} to {most}", json
    )


def number_type(least: float, most: float) -> ValueType:
    """Numbers, with a fraction or without, as float."""
    return ValueType(
        lambda text: units.parse_number(text, least, most),
        f"a number from {units.format_number(least)} to {units.format_number(most)}",
        {"type": ["number", "string"], "minimum": least, "maximum": most, "pattern": _NUMBER},
    )


def size_type(least: int) -> ValueType:
    """Sizes of at least `least` bytes."""
    allowed = f"{units.SIZE_FORM}, at least {units.readable_size(least)}"

    def read(text: str) -> int:
        size = units.parse_size(text)
        if size < least:
            raise InvalidValue(f"{quote_text(text)} is too small", allowed)
        return size

    return ValueType(read, allowed, _SIZE)


def enum_type(kind: type[Enum]) -> ValueType:
    """Members of an enum, by their values."""
    choices = {str(member.value): member for member in kind}
    spelled = choice_type(tuple(choices))
    return ValueType(lambda text: choices[spelled.read(text)], spelled.allowed, spelled.json)


def choice_type(choices: tuple[str, ...]) -> ValueType:
    """One of the `known` words."""
    spelled = pattern_type("|".join(map(re.escape, choices)), ", ".join(choices))
    return spelled._replace(json={"type": "string", "enum": list(choices)})


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidValue(f"{quote_text(text)} is neither true nor false", "true or false")
    return text == "true"


def _text(text: str) -> str:
    if not text or not all(letter.isprintable() or letter in "\n\t" for letter in text):
        raise InvalidValue(f"{quote_text(text)} is not printable text", "a text")
    return text


def _argument(text: str) -> str:
    return _text(text) if text else text


def _reason(text: str) -> str:
    return _text(" ".join(text.split()))


_LOGIN = re.compile(r"[^\s:/,#@+~-][^\s:/,#]{0,255}")
_PROFILE_FORM = "a MIG profile like 2g.20gb, 1g.10gb+me or 1c.2g.20gb"
_PROFILE = re.compile(r"(?:mig )?((?:[1-9]\d?c\.)?[1-9]\d?g\.[1-9]\d*gb(?:[+-][a-z]+(?:\.[a-z]+)*)*)", re.ASCII)


def _profile(text: str) -> str:
    """Parse a MIG profile as NVIDIA's tools print it: any suffix, with or without `MIG` before it, in any case."""
    match = _PROFILE.fullmatch(" ".join(text.casefold().split()))
    if match is None:
        raise InvalidValue(f"{quote_text(text)} is not a MIG profile", _PROFILE_FORM)
    return match[1]


def _folder(text: str) -> str:
    path = PurePosixPath(_text(text))
    if not re.match("/[^/]", text) or ".." in path.parts:
        raise InvalidValue(f"{quote_text(text)} is not an absolute path", "an absolute path below /, without ..")
    return str(path)


def _textfile(text: str) -> str:
    path = _folder(text)
    if not path.endswith(".prom") or path.endswith("/.prom"):
        raise InvalidValue(
            f"{quote_text(text)} does not end in .prom, and node_exporter reads no other", TEXTFILE.allowed
        )
    return path


def _ulimit(text: str) -> int:
    # some are counts without a unit: files, processes
    if re.fullmatch("-1|[0-9]+", text):
        return -1 if text == "-1" else units.parse_integer(text)
    return units.parse_size(text)


def _hours(text: str) -> timedelta:
    units.parse_number(text)
    return units.parse_duration(f"{text}h")


def _login(text: str) -> str:
    if not text.isprintable() or _LOGIN.fullmatch(text) is None:
        raise InvalidValue(f"{quote_text(text)} is not a login", LOGIN.allowed)
    return text


def _variable(text: str) -> str:
    allowed = VARIABLE.allowed
    if variables.NAME_PATTERN.fullmatch(text) is None:
        raise InvalidValue(f"{quote_text(text)} is not a variable name", allowed)
    if variables.is_reserved(text):
        raise InvalidValue(f"{text} is set by ds01 itself", allowed)
    return text


def _variable_value(text: str) -> str:
    if "\0" in text:
        raise InvalidValue("a variable cannot hold a NUL byte", "a text")
    return text


LOGIN = ValueType(
    _login, "a login, like alice or first.last@example.org", {**TEXT_SCHEMA, "pattern": f"^({_LOGIN.pattern})$"}
)
GROUP_NAME = pattern_type(names.GROUP_PATTERN.pattern, f"a group: {names.GROUP_FORM}")
UNIX_GROUP = pattern_type(r"[^\s:,#+-][^\n:,#]{0,255}", "the name of a Unix group")
BOOLEAN = ValueType(_boolean, "true or false", {"type": ["boolean", "string"], "pattern": "^(true|false)$"})
DURATION = ValueType(units.parse_duration, units.DURATION_FORM, {"type": "string", "pattern": units.DURATION_PATTERN})
HOURS = ValueType(_hours, "a number of hours", {"type": ["number", "string"], "minimum": 0, "pattern": _NUMBER})
MEMORY = size_type(6 << 20)  # with less, Docker refuses to create the container
TEXT = ValueType(_text, "a text", {**TEXT_SCHEMA, "minLength": 1})
REASON = ValueType(_reason, "a text")
SLOT = pattern_type(
    "(0|[1-9][0-9]{0,3})(:(0|[1-9][0-9]{0,3}))?", "a slot: 0 for a whole GPU, 0:1 for a MIG instance"
)._replace(json={"type": ["string", "integer"], "pattern": "^[0-9]{1,4}(:[0-9]{1,4})?$", "minimum": 0})
# names, and both kinds of addresses
HOST = pattern_type(
    r"[A-Za-z0-9]([A-Za-z0-9._:%-]{0,251}[A-Za-z0-9])?", "the name or address of a host, like gpu.example.org"
)
PROFILE = ValueType(
    _profile, _PROFILE_FORM, {"type": "string", "pattern": r"^([Mm][Ii][Gg] +)?[0-9]+[CcGg]\..*[Gg][Bb]"}
)
VARIABLE = ValueType(
    _variable,
    f"a name of {variables.NAME_FORM}, except {variables.RESERVED_PREFIX}*, {', '.join(variables.RESERVED_NAMES)}",
    {
        "pattern": f"^({variables.NAME_PATTERN.pattern})$",
        "not": {"pattern": f"^({variables.RESERVED_PREFIX}.*|{'|'.join(variables.RESERVED_NAMES)})$"},
    },
)
VARIABLE_VALUE = ValueType(_variable_value, "a text")
ULIMIT = ValueType(
    _ulimit,
    "-1 for unlimited, a count like 65536, or a size like 64m",
    {"type": ["integer", "string"], "minimum": -1, "pattern": f"^[0-9]+$|{units.SIZE_PATTERN}"},
)
FOLDER = ValueType(_folder, "an absolute path below /", {"type": "string", "pattern": "^/[^/]"})
TEXTFILE = ValueType(
    _textfile, "an absolute path below / that ends in .prom", {"type": "string", "pattern": "^/[^/].*[^/][.]prom$"}
)
CURRENCY = pattern_type(r"[^\s\d=+@'\"-][^\s=+@'\"-]{0,7}", "a currency like EUR or €")
ARGUMENT = ValueType(_argument, "a text")
LOGIN_OR_GROUP = ValueType(
    lambda text: text if text[:1] == "@" else _login(text),
    "a login, or @ and a group",
    {**TEXT_SCHEMA, "pattern": f"^(@.*|{_LOGIN.pattern})$"},
)
