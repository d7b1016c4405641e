"""The errors of ds01. Each has a code, an exit code, a message, and optionally a reason with numbers and a hint.

Errors cross the gate's wire as data (`to_json`, `from_json`); the command line prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Ds01Error(Exception):
    """Something failed: Docker, disk, network, an unreadable policy."""

    exit_code: ClassVar[int] = 1
    code: str = "failed"  # stable, for programs; listed in ds01/error_codes.py
    is_worded = False  # whether the refusal in `data` is already in words

    def __init__(
        self,
        message: str,
        *,
        why: str | None = None,
        hint: str | None = None,
        data: Mapping[str, Any] | None = None,
        code: str | None = None,
    ) -> None:
        """`code`: more precise than that of the class."""
        super().__init__(message)
        if code is not None:
            self.code = code
        self.message = message
        self.why = why
        self.hint = hint
        self.data = dict(data) if data is not None else None

    def reworded(self, message: str, *, why: str | None, hint: str | None) -> Ds01Error:
        """Return the same error, with the same code and data, in final words."""
        error = self._kind()(message, why=why, hint=hint, data=self.data, code=self.code)
        error.is_worded = True
        return error

    def _kind(self) -> type[Ds01Error]:
        """Return the class in this module that the error is of: others derive from it to carry more."""
        return next(kind for kind in type(self).__mro__ if kind.__name__ in _KINDS)

    def to_json(self) -> dict[str, Any]:
        """Return the error as a mapping for `system.data.to_json`; `kind` names the class for `from_json`."""
        return {
            "kind": self._kind().__name__,
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
    """The command line is invalid, or names something invalid."""

    exit_code = 2
    code = "usage.invalid"


class PermissionDenied(Ds01Error):
    """Policy, quota or ownership forbids it. `data` holds the refusal, if the allocator refused."""

    exit_code = 3
    code = "policy.denied"


class NoCapacity(Ds01Error):
    """No suitable GPU is free now. `data` holds the refusal."""

    exit_code = 4
    code = "gpu.none_free"


class NotFound(Ds01Error):
    """The container, image or user does not exist."""

    exit_code = 5
    code = "not_found"


class InvalidState(Ds01Error):
    """Not possible in this state, or the name is taken."""

    exit_code = 6
    code = "state.invalid"


class Busy(Ds01Error):
    """Another process holds a lock, and the wait for it timed out."""

    code = "busy"


class PolicyUnreadable(Ds01Error):
    """The policy is missing, unreadable or invalid; never replaced by a default."""

    code = "policy.invalid"


class StateUnwritable(Ds01Error):
    """The state directory cannot be written: its disk is full or read-only. Observations are still valid."""

    code = "state.unwritable"


class EngineUnreachable(Ds01Error):
    """The engine did not answer: nothing was observed, so nothing may be concluded."""

    code = "engine.unreachable"


class EngineNotFound(NotFound):
    """The engine has no such container or image."""

    code = "engine.not_found"


class EngineConflict(InvalidState):
    """The engine refuses because of a state or a name that is taken."""

    code = "engine.conflict"


class EngineRejected(Ds01Error):
    """The engine answered, and refused."""

    code = "engine.rejected"


class GpusUnreachable(Ds01Error):
    """NVML did not answer: nothing was observed. `data["problem"]` is a stable word for programs."""

    code = "gpu.unreachable"


_KINDS: dict[str, type[Ds01Error]] = {
    kind.__name__: kind
    for kind in (
        Ds01Error, UsageError, PermissionDenied, NoCapacity, NotFound, InvalidState, Busy, PolicyUnreadable,
        StateUnwritable, EngineUnreachable, EngineNotFound, EngineConflict, EngineRejected, GpusUnreachable,
    )
}  # fmt: skip
