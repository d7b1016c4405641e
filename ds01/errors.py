"""What can go wrong, as types: each carries its code and exit code, what happened, why with the numbers, what to do.

Errors cross the gate's wire as data (`to_json`, `from_json`); the command line prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Ds01Error(Exception):
    """Something failed: Docker, disk, network, an unreadable policy."""

    exit_code: ClassVar[int] = 1
    code: str = "failed"  # stable, for programs; each is in ERRORS of ds01/error_codes.py
    is_worded = False  # whether a refusal in `data` is in words already

    def __init__(
        self,
        message: str,
        *,
        why: str | None = None,
        hint: str | None = None,
        data: Mapping[str, Any] | None = None,
        code: str | None = None,
    ) -> None:
        """`code`: a more precise one than the class has."""
        super().__init__(message)
        if code is not None:
            self.code = code
        self.message = message
        self.why = why
        self.hint = hint
        self.data = dict(data) if data is not None else None

    def reworded(self, message: str, *, why: str | None, hint: str | None) -> Ds01Error:
        """Return the same error, with the same code and data, in words that stay."""
        error = type(self)(message, why=why, hint=hint, data=self.data, code=self.code)
        error.is_worded = True
        return error

    def to_json(self) -> dict[str, Any]:
        """Return the error as a mapping for `system.data.to_json`; `kind` names the class for `from_json`."""
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
        """Return the error that `to_json` described; an unknown kind becomes a plain `Ds01Error`."""
        kind = _KINDS.get(data["kind"], Ds01Error)
        return kind(data["message"], why=data["why"], hint=data["hint"], data=data["data"], code=data["code"])


class UsageError(Ds01Error):
    """The command was called in a way that it does not offer."""

    exit_code = 2
    code = "usage.invalid"


class PermissionDenied(Ds01Error):
    """Policy, quota or ownership says no. `data` holds the refusal, if it came from the allocator."""

    exit_code = 3
    code = "policy.denied"


class NoCapacity(Ds01Error):
    """No GPU that fits is free now. `data` holds the refusal."""

    exit_code = 4
    code = "gpu.none_free"


class NotFound(Ds01Error):
    """There is no such container, image or user."""

    exit_code = 5
    code = "not_found"


class InvalidState(Ds01Error):
    """Not possible in this state, or the name is taken."""

    exit_code = 6
    code = "state.invalid"


class Busy(Ds01Error):
    """Somebody else holds a lock, and the wait for it ran out."""

    code = "busy"


class PolicyUnreadable(Ds01Error):
    """The policy is missing, unreadable or wrong; never replaced by a default."""

    code = "policy.invalid"


class StateUnwritable(Ds01Error):
    """The state directory takes no more: its disk is full or read-only. What was observed is right all the same."""

    code = "state.unwritable"


class EngineUnreachable(Ds01Error):
    """The engine did not answer: nothing was observed, and nothing may be concluded."""

    code = "engine.unreachable"


class EngineNotFound(NotFound):
    """The engine says that it has no such container or image."""

    code = "engine.not_found"


class EngineConflict(InvalidState):
    """The engine says that the state or the name stands in the way."""

    code = "engine.conflict"


class EngineRejected(Ds01Error):
    """The engine answered, and would not do it."""

    code = "engine.rejected"


class GpusUnreachable(Ds01Error):
    """NVML cannot be asked. Nothing was observed. `data["problem"]` is a word for programs."""

    code = "gpu.unreachable"


_KINDS: dict[str, type[Ds01Error]] = {
    kind.__name__: kind
    for kind in (
        Ds01Error, UsageError, PermissionDenied, NoCapacity, NotFound, InvalidState, Busy, PolicyUnreadable,
        StateUnwritable, EngineUnreachable, EngineNotFound, EngineConflict, EngineRejected, GpusUnreachable,
    )
}  # fmt: skip
