"""A gate behind a JSON wire: every call is encoded, decoded by the type hints, made, and its outcome sent back so.

What crosses is text only, but for the file number of an attachment, which a socket would carry beside it.
"""

from __future__ import annotations

import base64
import inspect
import json
import typing
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, get_args, get_origin

from ds01.engines.protocol import Attachment
from ds01.errors import Ds01Error
from ds01.gate.gate import Gate
from ds01.system.data import from_json, to_json

STREAMS = (Iterator, Generator)
BYTES = Iterable[bytes]  # what a build is made from: sent piece by piece


class WireGate:
    """The far end of the wire, with the gate's methods."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._gate, name)
        hints = typing.get_type_hints(method)
        signature = inspect.signature(method)

        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            sent = json.dumps(
                {key: _encoded(hints[key], value) for key, value in bound.arguments.items()}, allow_nan=False
            )
            received = {key: _decoded(hints[key], value) for key, value in json.loads(sent).items()}
            kind = hints["return"]
            if get_origin(kind) in STREAMS:
                return _received(_sent(lambda: _called(method, signature, received)), get_args(kind)[0])
            return self._outcome(json.loads(self._answer(method, signature, received)), kind)

        return call

    @staticmethod
    def _answer(method: Callable[..., Any], signature: inspect.Signature, received: dict[str, Any]) -> str:
        try:
            result = _called(method, signature, received)
            if isinstance(result, Attachment):
                fields = {**vars(result), "early": base64.b64encode(result.early).decode()}
                return json.dumps({"attachment": fields})
            return json.dumps({"result": to_json(result)}, allow_nan=False)
        except Ds01Error as error:
            return json.dumps({"error": error.to_json()}, allow_nan=False)

    @staticmethod
    def _outcome(answer: dict[str, Any], kind: Any) -> Any:
        if "error" in answer:
            raise Ds01Error.from_json(answer["error"])
        if "attachment" in answer:
            fields = answer["attachment"]
            return Attachment(**{**fields, "early": base64.b64decode(fields["early"])})
        return None if kind is type(None) else from_json(kind, answer["result"])


def _encoded(kind: Any, value: Any) -> Any:
    return [base64.b64encode(piece).decode() for piece in value] if kind == BYTES else to_json(value)


def _decoded(kind: Any, value: Any) -> Any:
    return (base64.b64decode(piece) for piece in value) if kind == BYTES else from_json(kind, value)


def _called(method: Callable[..., Any], signature: inspect.Signature, received: dict[str, Any]) -> Any:
    positional = [
        received.pop(name)
        for name, parameter in signature.parameters.items()
        if name in received and parameter.kind is not parameter.KEYWORD_ONLY
    ]
    return method(*positional, **received)


def _sent(call: Callable[[], Iterator[Any]]) -> Iterator[str]:
    """A stream's items, each sent when it is there; closing it closes what makes them."""
    try:
        items = call()
        try:
            for item in items:
                yield json.dumps({"item": to_json(item)})
        finally:
            if isinstance(items, Generator):
                items.close()
    except Ds01Error as error:
        yield json.dumps({"error": error.to_json()})


def _received(lines: Iterator[str], kind: Any) -> Iterator[Any]:
    try:
        for line in lines:
            item = json.loads(line)
            if "error" in item:
                raise Ds01Error.from_json(item["error"])
            yield from_json(kind, item["item"])
    finally:
        if isinstance(lines, Generator):
            lines.close()
