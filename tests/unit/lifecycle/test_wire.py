"""Everything that crosses the gate is data: every operation survives JSON, and errors come back complete."""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from datetime import timedelta
from typing import Any

import pytest

from ds01 import errors
from ds01.api import wire
from ds01.api.containers import StopContainer
from ds01.api.operation import Access, Operation, StreamOperation
from ds01.engines.protocol import Attachment
from ds01.errors import Ds01Error, PermissionDenied
from ds01.gate.gate import HANDLERS, Gate
from ds01.records.record import Record
from ds01.records.request import ContainerRequest
from ds01.system import data
from ds01.system.data import DataError, from_json, to_json
from tests.harness import NOON, Harness

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Ds01Error)]


@pytest.mark.parametrize("kind", list(wire.operations().values()))
def test_every_operation_has_types_that_a_wire_can_carry(kind: type[Operation[Any]]) -> None:
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        assert item.metadata.get("stream") or data._reader(hints[item.name])
    for result in wire._types(kind):
        assert result in (Attachment, type(None)) or data._reader(result)


def test_the_gate_runs_every_operation() -> None:
    assert set(HANDLERS) == set(wire.operations())


@pytest.mark.parametrize("kind", list(wire.operations().values()))
def test_every_operation_says_who_may_run_it(kind: type[Operation[Any]]) -> None:
    assert any("access" in vars(base) for base in kind.__mro__ if base not in (Operation, StreamOperation))


@pytest.mark.parametrize("kind", list(wire.operations().values()))
def test_an_operation_says_whom_or_what_it_is_about(kind: type[Operation[Any]]) -> None:
    subject = {Access.OWNER: "owner_uid", Access.CONTAINER: "container_names"}.get(kind.access)
    assert subject is None or getattr(kind, subject) is not getattr(Operation, subject)


def test_an_operation_that_declares_nothing_is_for_administrators(harness: Harness) -> None:
    class Undeclared(Operation[None]):
        pass

    with pytest.raises(PermissionDenied) as caught:
        Gate(harness.context).run(harness.actor("alice"), Undeclared())
    assert caught.value.code == "access.denied"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"operation": "Nothing", "parameters": {}}',
        '{"operation": "StopContainer", "parameters": []}',
        '{"operation": "StopContainer", "parameters": {}}',
        '{"operation": "StopContainer", "parameters": {"container": 1}}',
        '{"operation": "StopContainer", "parameters": {"container": "a", "access": "everybody"}}',
        '{"operation": "StopContainer", "parameters": {"container": "\\ud800"}}',
        '{"operation": "BuildImage", "parameters": {"request": null, "build_context": ["x"]}}',
    ],
)  # fmt: skip
def test_a_text_that_is_no_operation_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        wire.decode_operation(text)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_back_as_what_it_was(kind: type[Ds01Error]) -> None:
    error = kind("what", why="why", hint="hint", data={"refusal": {"rule": "none_free"}})
    again = Ds01Error.from_json(json.loads(json.dumps(error.to_json())))
    assert type(again) is kind
    assert (again.message, again.why, again.hint, again.data, again.code) == (
        "what", "why", "hint", {"refusal": {"rule": "none_free"}}, kind.code,
    )  # fmt: skip


def test_an_unknown_kind_of_error_is_still_one() -> None:
    sent = PermissionDenied("no").to_json() | {"kind": "Newer"}
    assert type(Ds01Error.from_json(sent)) is Ds01Error


def test_a_record_and_a_request_survive_the_disk(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice", labels={"a": "b"}, environment={"X": "ü\n"}))
    record = harness.record("alice")
    assert from_json(Record, json.loads(json.dumps(to_json(record)))) == record
    assert record.request is not None
    assert from_json(ContainerRequest, json.loads(json.dumps(to_json(record.request)))) == record.request


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1}, {"owner": "70001"}, {"owner": True}, {"owner": None}, {"name": 1}, {"ports": "8888"},
        {"gpus": {"count": "1"}}, {"gpus": {"type": "any", "more": 1}}, {"wants": []}, {"labels": {"a": 1}},
    ],
)  # fmt: skip
def test_a_request_that_is_not_one_is_refused(harness: Harness, change: dict[str, Any]) -> None:
    sent = to_json(harness.request("alice")) | change
    with pytest.raises(DataError):
        from_json(ContainerRequest, sent)


@pytest.mark.parametrize("kind", [bool, int, float, str, list, dict, timedelta])
def test_null_is_no_value(kind: type) -> None:
    if kind in (list, dict):
        kind = tuple[int, ...] if kind is list else dict[str, int]  # type: ignore[assignment]
    with pytest.raises(DataError):
        from_json(kind, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-30T12:00:00Z", 0), ("2026-11-30T13:00:00+01:00", 0), ("2026-11-30T12:00:00.5Z", 0.5),
        ("2026-11-30T12:00:00.123456789Z", 0.123456), ("2026-11-30T04:00:00.000000001-08:00", 0),
    ],
)  # fmt: skip
def test_times_with_zones_and_nanoseconds_are_parsed(text: str, seconds: float) -> None:
    assert data.parse_time(text) == NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-30", "2026-11-30T12:00:00", "2026-13-01T00:00:00Z", 5])
def test_what_is_no_aware_time_is_refused(text: Any) -> None:
    with pytest.raises(DataError):
        data.parse_time(text)


def test_what_has_no_json_form_is_a_type_error() -> None:
    for value in (object(), b"bytes", {1, 2}):
        with pytest.raises(TypeError):
            to_json(value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"answer": 1}', '{"attachment": {}}', '{"attachment": {"initial_bytes": "?"}}', '{"error": 1}'],
)
def test_an_answer_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        wire.decode_answer(text, StopContainer)


def test_an_error_of_a_class_from_below_crosses_as_its_base() -> None:
    class NotSaved(errors.StateUnwritable):
        pass

    assert type(Ds01Error.from_json(NotSaved("full").to_json())) is errors.StateUnwritable
