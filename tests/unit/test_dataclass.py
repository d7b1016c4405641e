"""The postponed dataclass: it behaves as the standard one, and does its work on first use only."""

from __future__ import annotations

import copy
import copyreg
import dataclasses
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import InitVar, field
from importlib import import_module
from pathlib import Path
from threading import Barrier, Thread
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from ds01.dataclass import _Pending, dataclass

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def is_pending(kind: type) -> bool:
    return isinstance(vars(kind).get("__dataclass_fields__"), _Pending)


def point() -> Any:
    """Return a class that nobody has used yet."""

    @dataclass(frozen=True)
    class Point:
        """A point."""

        x: int
        y: int = 2

    return Point


@dataclass(frozen=True)
class Stored:
    """from_json resolves the annotations in the module."""

    x: int


def test_a_declared_class_waits() -> None:
    assert is_pending(point())


def test_the_first_instance_completes_it() -> None:
    kind = point()
    assert (kind(1).x, kind(1, 3).y, kind(x=1).y) == (1, 3, 2)
    assert not is_pending(kind)


@pytest.mark.parametrize(
    "use", [dataclasses.fields, dataclasses.is_dataclass, lambda kind: dataclasses.dataclass(frozen=True)(kind)]
)
def test_a_question_about_the_fields_completes_it(use: Any) -> None:
    kind = point()
    assert use(kind)
    assert not is_pending(kind)


def test_the_class_is_as_the_standard_one() -> None:
    ours = point()
    theirs = dataclasses.make_dataclass("Point", [("x", "int"), ("y", "int", field(default=2))], frozen=True)
    ours(1)
    added = {"__dataclass_fields__", "__dataclass_params__", "__match_args__", "__init__", "__repr__", "__eq__"}
    added |= {"__hash__", "__setattr__", "__delattr__"}
    assert added <= set(vars(ours))
    assert [each.name for each in dataclasses.fields(ours)] == [each.name for each in dataclasses.fields(theirs)]
    assert ours.__match_args__ == ("x", "y")


def test_equality_hash_and_repr() -> None:
    kind = point()
    assert kind(1) == kind(1) != kind(2)
    assert len({kind(1), kind(1)}) == 1
    assert repr(kind(1)).endswith("Point(x=1, y=2)")


def test_frozen_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        point()(1).x = 5


def test_a_class_that_is_not_frozen_can_be_changed_and_has_no_hash() -> None:
    @dataclass
    class Counter:
        n: int = 0

    counter = Counter()
    counter.n += 1
    assert counter == Counter(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(counter)


@pytest.mark.parametrize("arguments", [(), (1, 2, 3)])
def test_wrong_arguments_are_refused_as_by_the_standard_one(arguments: tuple[int, ...]) -> None:
    kind = point()
    for _ in range(2):  # first and later instances
        with pytest.raises(TypeError, match="__init__"):
            kind(*arguments)


def test_replace() -> None:
    assert dataclasses.replace(point()(1), y=7).y == 7


def test_a_pattern_matches_positions() -> None:
    kind = point()
    match kind(4, 5):
        case kind(x, y):
            assert (x, y) == (4, 5)
        case _:
            pytest.fail("no match")


def test_copies() -> None:
    made = point()(1)
    assert copy.copy(made) == copy.deepcopy(made) == made


def test_unpickling_completes_the_class() -> None:
    kind = point()
    instance = copyreg.__newobj__(kind)  # type: ignore[attr-defined]  # what pickle calls in a new process
    instance.__dict__.update(x=1, y=2)
    assert instance == kind(1)


def test_inherited_fields_come_first() -> None:
    base = point()

    @dataclass(frozen=True)
    class Named(base):  # type: ignore[misc]
        name: str = "here"

    made = Named(1, 2, "there")
    assert (made.x, made.name) == (1, "there")
    assert not is_pending(base)


def test_a_subclass_without_the_decorator() -> None:
    class Plain(point()):  # type: ignore[misc]
        pass

    assert Plain(1).y == 2


def test_a_subclass_with_its_own_initialiser() -> None:
    class Doubled(point()):  # type: ignore[misc]
        def __init__(self, x: int) -> None:
            super().__init__(2 * x)

    assert Doubled(3).x == 6


def test_a_subclass_that_creates_its_own_instances() -> None:
    class Made(point()):  # type: ignore[misc]
        def __new__(cls, *arguments: Any) -> Any:
            return super().__new__(cls, *arguments)

    assert Made(3).x == 3


def test_a_class_that_creates_its_own_instances_does_not_wait() -> None:
    @dataclass(frozen=True)
    class Text(str):
        def __new__(cls, text: str) -> Text:
            return super().__new__(cls, text.upper())

        text: str

    assert not is_pending(Text)
    assert Text("a").text == "a"


def test_an_initialiser_of_its_own_stays() -> None:
    @dataclass
    class Own:
        x: int

        def __init__(self) -> None:
            self.x = 9

    assert Own() == Own()
    assert Own().x == 9


def test_special_fields() -> None:
    @dataclass
    class Special(Generic[T]):
        KIND: ClassVar[str] = "special"
        seed: InitVar[int]
        items: list[T] = field(default_factory=list)
        total: int = field(init=False)
        last: int = field(default=4, kw_only=True)

        def __post_init__(self, seed: int) -> None:
            self.total = seed + 1

    made = Special[int](1)
    assert (made.items, made.total, made.last) == ([], 2, 4)
    assert [each.name for each in dataclasses.fields(Special)] == ["items", "total", "last"]
    assert Special(1).items is not made.items


def test_an_abstract_class_stays_abstract() -> None:
    @dataclass(frozen=True)
    class Shape(ABC):
        sides: int

        @abstractmethod
        def area(self) -> int: ...

    with pytest.raises(TypeError, match="abstract"):
        Shape(3)  # type: ignore[abstract]


def test_the_fast_path_of_json_is_complete() -> None:
    from ds01.system.data import from_json, to_json

    assert to_json(from_json(Stored, {"x": 3})) == {"x": 3}


def test_two_threads_that_create_the_first_instances_at_once() -> None:
    interval, rounds = sys.getswitchinterval(), 60
    sys.setswitchinterval(1e-6)
    results: list[object] = []
    try:
        for _ in range(rounds):
            kind, barrier = point(), Barrier(4)

            def create(kind: Any = kind, barrier: Barrier = barrier) -> None:
                barrier.wait()
                try:
                    results.append(kind(1, 3).y)
                except Exception as error:
                    results.append(error)

            threads = [Thread(target=create) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert results == [3] * rounds * 4


def modules() -> Iterator[str]:
    for path in sorted((ROOT / "ds01").rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_dataclass_can_be_completed() -> None:
    """A mistake in a declaration, such as a field without a default after one with, is an error only then."""
    found = [
        kind
        for module in modules()
        for kind in vars(import_module(module)).values()
        if isinstance(kind, type) and kind.__module__ == module and "__dataclass_fields__" in vars(kind)
    ]
    assert len(found) > 200
    assert all(dataclasses.is_dataclass(kind) and not is_pending(kind) for kind in found)
