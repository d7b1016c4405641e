"""Postpone the work of the standard `dataclass` decorator until a class is first used.

The standard decorator compiles up to six methods for each class, which takes about a millisecond on a slow machine. A
command imports far more dataclasses than it creates instances of, so that this was a quarter of its start-up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar, overload

T = TypeVar("T", bound=type)

_FIELDS, _NEW = "__dataclass_fields__", "__new__"
# Reentrant: a class first completes its bases. One for all, so that two threads cannot wait for each other.
_LOCK = RLock()


@overload
def _postponed(kind: T, /) -> T: ...


@overload
def _postponed(*, frozen: bool) -> Callable[[T], T]: ...


def _postponed(kind: T | None = None, /, *, frozen: bool = False) -> T | Callable[[T], T]:
    """Decorator: make a dataclass of a class when it is first instantiated or asked for its fields.

    Until then, a field with a `default_factory` is a class attribute of type Field, and the class itself has no
    `__match_args__`. `object.__new__(kind)` does not trigger it: call it only for a class that is a dataclass by then.
    """

    def decorate(kind: T) -> T:
        if not _may_wait(kind):
            dataclasses.dataclass(frozen=frozen)(kind)
            return kind
        setattr(kind, _FIELDS, _Pending(kind, frozen))
        setattr(kind, _NEW, staticmethod(_complete_and_create))
        return kind

    return decorate if kind is None else decorate(kind)


class _Pending:
    """Stands in for the fields of a class that is not complete yet; reading them completes it.

    `dataclasses.fields`, `is_dataclass`, `replace` and the standard decorator of a subclass all read them first.
    """

    def __init__(self, kind: type, frozen: bool) -> None:
        self._kind = kind
        self._frozen = frozen

    def __get__(self, instance: object, owner: type) -> Any:
        self.complete()
        return self._kind.__dict__[_FIELDS]

    def complete(self) -> None:
        """Do what was postponed, unless another thread has done it meanwhile."""
        with _LOCK:
            if self._kind.__dict__[_FIELDS] is not self:
                return
            dataclasses.dataclass(frozen=self._frozen)(self._kind)
            # Last: from now on instances are created without the lock. The attribute cannot be deleted again: CPython
            # would pass the arguments of __init__ on to object.__new__, which refuses them.
            setattr(self._kind, _NEW, staticmethod(_create))


def _may_wait(kind: type) -> bool:
    """Return whether instances are created by `object.__new__`, so that it can be replaced."""
    own = (_create, _complete_and_create)
    return all(getattr(base, "__new__", None) in (*own, object.__new__) for base in kind.__mro__)


def _complete_and_create(kind: type[Any], /, *arguments: Any, **keywords: Any) -> Any:
    with _LOCK:  # another thread may be half through
        for base in kind.__mro__:
            fields = base.__dict__.get(_FIELDS)
            if isinstance(fields, _Pending):
                fields.complete()
    return object.__new__(kind)


def _create(kind: type[Any], /, *arguments: Any, **keywords: Any) -> Any:
    return object.__new__(kind)


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # type checkers know this one
else:
    dataclass = _postponed
