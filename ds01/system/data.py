"""Convert frozen dataclasses to JSON values and back, strictly: an unknown key or another type is an error.

Times are RFC 3339 in UTC with `Z`, durations seconds, enums their values, absent is null.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

T = TypeVar("T")

_LENGTH = len("2026-11-21T22:32:57.123456+00:00")  # a time that Python parses unchanged

# Numbers fit into a signed 64-bit field, and times leave room for arithmetic within the calendar. Values beyond that
# would fail where they are used, in every command that reads the record.
MAX_INTEGER = 2**63 - 1
MAX_DURATION = timedelta(days=2 * 36525)  # twice the longest duration of a policy
ALLOWED_YEARS = range(2, 9000)


class DataError(ValueError):
    """The text is not JSON, or does not have the shape of the expected type."""


def parse_json(content: bytes | str) -> Any:
    """Parse JSON. Raises DataError, also for excessive nesting or numbers out of range."""
    try:
        return _DECODER.decode(content if isinstance(content, str) else content.decode("utf-8-sig"))
    except DataError:
        raise
    except ValueError as error:
        raise DataError(str(error)) from error
    except RecursionError as error:
        raise DataError("it is nested too deeply") from error


def _bounded(number: float) -> float:
    if not -MAX_INTEGER <= number <= MAX_INTEGER:  # also true of NaN
        raise DataError("a number out of range")
    return number


def _parse_int(text: str) -> int:
    if len(text) > 20:  # Python is slow at long integers, and refuses very long ones
        raise DataError("a number out of range")
    return int(_bounded(int(text)))


def _parse_constant(text: str) -> float:
    raise DataError(f"{text} is not a number")


_DECODER = json.JSONDecoder(
    parse_float=lambda text: _bounded(float(text)), parse_int=_parse_int, parse_constant=_parse_constant
)


def to_json(value: Any) -> Any:
    """Convert to JSON values. Raises TypeError for types without a JSON form."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        kind: Any = type(value)
        return {key: to_json(getattr(value, name)) for name, key in _keys(kind)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        return [to_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_json(kind: type[T], value: Any) -> T:
    """Convert JSON values to the type `kind`. Raises DataError."""
    key: Any = kind
    result: T = _reader(key)(value)
    return result


def format_time(when: datetime) -> str:
    """Format as RFC 3339 in UTC with `Z`; microseconds only if not zero."""
    return when.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Parse an RFC 3339 time to aware UTC. Docker's nanoseconds are truncated. Raises DataError."""
    if not isinstance(text, str):
        raise DataError(f"not a time: {text!r}")
    if text[-1:] in "zZ":
        text = text[:-1] + "+00:00"
    if len(text) != _LENGTH:
        head, dot, tail = text.partition(".")
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}" if dot else text
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            raise DataError(f"a time without a zone: {text!r}")
        return when.astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise DataError(f"not a time: {text!r}") from error


@cache
def _keys(kind: Any) -> tuple[tuple[str, str], ...]:
    """Return each field with its JSON key: the metadata's `key`, for keys that are not Python identifiers."""
    return tuple((field.name, field.metadata.get("key", field.name)) for field in dataclasses.fields(kind))


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    origin = get_origin(kind)
    if kind is Any:
        return lambda value: value
    if origin in (Union, types.UnionType):
        (inner,) = [arg for arg in get_args(kind) if arg is not type(None)]
        read = _reader(inner)
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        item = _reader(get_args(kind)[0])
        return lambda value: tuple([item(part) for part in _expect(list, value)])
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        item = _reader(get_args(kind)[1])
        return lambda value: {key: item(part) for key, part in _expect(dict, value).items()}
    if kind is datetime:
        return _time
    if kind is timedelta:
        return _duration
    if kind is float:
        return _number
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value: _enum(kind, value)
    if kind in (str, int, bool):
        return lambda value: _expect(kind, value)
    raise TypeError(f"{kind} cannot be read from JSON")


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    names = {key: name for name, key in _keys(kind)}
    readers = {key: _reader(hints[name]) for key, name in names.items()}
    # Plain types are compared inline rather than through functions: a list command reads many records.
    plain = {key: hints[name] for key, name in names.items() if hints[name] in (str, int, bool)}

    def read(value: Any) -> Any:
        values = {}
        for key, part in _expect(dict, value).items():
            if type(part) is plain.get(key) and type(part) is not int:
                values[names[key]] = part
                continue
            if key not in readers:
                raise DataError(f"{kind.__name__} has no field {key!r}")
            try:
                values[names[key]] = readers[key](part)
            except DataError as error:
                raise DataError(f"{key}: {error}") from error
        if len(values) == len(names):
            # Bypasses the initialiser, which in a frozen dataclass sets each field through a slow call.
            instance = object.__new__(kind)
            instance.__dict__.update(values)
            return instance
        try:
            return kind(**values)
        except TypeError as error:
            raise DataError(str(error)) from error

    return read


def _expect(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise DataError(f"expected {kind.__name__}, got {type(value).__name__}")
    if type(value) is int:
        _bounded(value)
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise DataError(f"expected a number, got {type(value).__name__}")
    return float(_bounded(value))


def _duration(value: Any) -> timedelta:
    seconds = _number(value)
    if abs(seconds) > MAX_DURATION.total_seconds():
        raise DataError("a duration out of range")
    return timedelta(seconds=seconds)


def _time(value: Any) -> datetime:
    when = parse_time(value)
    if when.year not in ALLOWED_YEARS:
        raise DataError(f"a time out of range: {value!r}")
    return when


def _enum(kind: type[Enum], value: Any) -> Enum:
    try:
        return kind(value)
    except ValueError as error:
        raise DataError(f"{value!r} is not a {kind.__name__}") from error
