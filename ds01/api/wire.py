"""Encode and decode operations, answers and errors as JSON, for a gate in another process.

The type of an answer follows from the operation, so only the operation itself is named on the wire. What cannot be
JSON is sent separately: the pieces of a build context, and the descriptor of an attachment.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from ds01.api import access, containers, images, listing, measures, programs, server
from ds01.api.operation import Operation, StreamOperation
from ds01.api.seeing import events, report
from ds01.api.seeing import operations as seeing
from ds01.engines.protocol import Attachment
from ds01.errors import Ds01Error
from ds01.system.data import DataError, from_json, parse_json, to_json

_MODULES = (access, containers, events, images, listing, measures, programs, report, seeing, server)


def encode_operation(operation: Operation[Any]) -> str:
    """Return an operation as JSON, without its streamed field."""
    streamed = _streamed_field(type(operation))
    fields = {
        item.name: to_json(getattr(operation, item.name))
        for item in dataclasses.fields(operation)
        if item.name != streamed
    }
    return json.dumps({"operation": type(operation).__name__, "parameters": fields}, allow_nan=False)


def decode_operation(text: str, stream: Iterable[bytes] = ()) -> Operation[Any]:
    """Parse an operation; `stream` becomes its streamed field. Raises DataError."""
    document = parse_json(text)
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which nothing below could write
        raise DataError(str(error)) from None
    if not isinstance(document, dict) or not isinstance(document.get("parameters"), dict):
        raise DataError("not an operation")
    kind = operations().get(str(document.get("operation")))
    if kind is None:
        raise DataError(f"unknown operation {document.get('operation')!r}")
    parameters: dict[str, Any] = document["parameters"]
    streamed, hints = _streamed_field(kind), typing.get_type_hints(kind)
    names = {item.name for item in dataclasses.fields(kind)} - {streamed}
    unknown = sorted(set(parameters) - names)
    if unknown:
        raise DataError(f"{kind.__name__} has no parameter {unknown[0]!r}")
    values = {name: from_json(hints[name], value) for name, value in parameters.items()}
    if streamed is not None:
        values[streamed] = stream
    try:
        return kind(**values)
    except TypeError as error:
        raise DataError(f"{kind.__name__}: {error}") from None


def encode_answer(answer: object) -> str:
    """Return an answer, or a step of a stream, as JSON, without the descriptor of an attachment."""
    if isinstance(answer, Attachment):
        fields = {key: value for key, value in vars(answer).items() if key not in ("fileno", "initial_bytes")}
        first = base64.b64encode(answer.initial_bytes).decode()
        return json.dumps({"attachment": {**fields, "initial_bytes": first}}, allow_nan=False)
    return json.dumps({"answer": to_json(answer)}, allow_nan=False)


def encode_error(error: Ds01Error) -> str:
    """Return an error as JSON."""
    return json.dumps({"error": to_json(error.to_json())}, allow_nan=False)


def decode_answer(text: str, operation: type[Operation[Any]], *, step: bool = False, descriptor: int = -1) -> Any:
    """Parse the answer to an operation, or a `step` of it. Raises the Ds01Error that was sent instead, DataError.

    `descriptor`: the received descriptor of an attachment.
    """
    document = parse_json(text)
    if not isinstance(document, Mapping):
        raise DataError("not an answer")
    try:
        if "error" in document:
            raise Ds01Error.from_json(document["error"])
        if "attachment" in document:
            fields = document["attachment"]
            initial = base64.b64decode(fields["initial_bytes"])
            return Attachment(**{**fields, "fileno": descriptor, "initial_bytes": initial})
        kind = _types(operation)[0 if step else -1]
        return None if kind is type(None) else from_json(kind, document["answer"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"not an answer to {operation.__name__}: {error}") from error


@cache
def operations() -> dict[str, type[Operation[Any]]]:
    """Return all operations by name."""
    return {
        name: kind
        for module in _MODULES
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Operation) and kind.__module__ == module.__name__
    }


def _types(operation: type[Operation[Any]]) -> tuple[Any, ...]:
    """Return the types of an operation's steps and answer; without a stream only that of the answer."""
    for base in getattr(operation, "__orig_bases__", ()):
        if typing.get_origin(base) in (Operation, StreamOperation):
            return typing.get_args(base)
    raise TypeError(f"{operation.__name__} does not declare the type of its answer")


def _streamed_field(operation: type[Operation[Any]]) -> str | None:
    fields = dataclasses.fields(operation)
    return next((item.name for item in fields if item.metadata.get("stream")), None)
