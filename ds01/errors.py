"""What can go wrong, as types: each carries its exit code, what happened, why with the numbers, and what to do.

Errors cross the gate's wire as data (`to_json`, `from_json`); the command line prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Ds01Error(Exception):
    """Something failed: Docker, disk, network, an unreadable policy."""

    code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, why: str | None = None, hint: str | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.hint = hint
        self.data = dict(data) if data is not None else None

    def to_json(self) -> dict[str, Any]:
        """The error as JSON values; `kind` names the class for `from_json`."""
        return {
            "kind": type(self).__name__,
            "code": self.code,
            "message": self.message,
            "why": self.why,
            "hint": self.hint,
            "data": self.data,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Ds01Error:
        """The error that `to_json` described; an unknown kind becomes a plain `Ds01Error`."""
        kind = _KINDS.get(data["kind"], Ds01Error)
        return kind(data["message"], why=data["why"], hint=data["hint"], data=data["data"])


class WrongUse(Ds01Error):
    """The command was called in a way that it does not offer."""

    code = 2


class Refused(Ds01Error):
    """Policy, quota or ownership says no. `data` holds the refusal, if it came from the allocator."""

    code = 3


class NoGpuFree(Ds01Error):
    """No GPU that fits is free now. `data` holds the refusal."""

    code = 4


class NotFound(Ds01Error):
    """There is no such container, image or user."""

    code = 5


class NotPossible(Ds01Error):
    """Not possible in this state, or the name is taken."""

    code = 6


class Busy(Ds01Error):
    """Somebody else holds a lock, and the wait for it ran out."""


class PolicyUnreadable(Ds01Error):
    """The policy is missing, unreadable or wrong; never replaced by a default."""


class StateUnwritable(Ds01Error):
    """The state directory takes no more: its disk is full or read-only. What was observed is right all the same."""


class EngineUnreachable(Ds01Error):
    """The engine did not answer: nothing was observed, and nothing may be concluded."""


class EngineAbsent(NotFound):
    """The engine says that it has no such container or image."""


class EngineConflict(NotPossible):
    """The engine says that the state or the name stands in the way."""


class EngineRejected(Ds01Error):
    """The engine answered, and would not do it."""


class GpusUnreachable(Ds01Error):
    """NVML cannot be asked. Nothing was observed. `data["problem"]` is a word for programs."""


_KINDS: dict[str, type[Ds01Error]] = {
    kind.__name__: kind
    for kind in (
        Ds01Error, WrongUse, Refused, NoGpuFree, NotFound, NotPossible, Busy, PolicyUnreadable,
        StateUnwritable, EngineUnreachable, EngineAbsent, EngineConflict, EngineRejected, GpusUnreachable,
    )
}  # fmt: skip
