"""Operations on programs that are started in a running container."""

from __future__ import annotations

from typing import ClassVar

from ds01.api.operation import Access, Operation
from ds01.dataclass import dataclass
from ds01.engines.protocol import Attachment, ExecRequest


@dataclass(frozen=True)
class RunProgram(Operation[Attachment]):
    """Start a program in a running container as its owner; `program.user` is overwritten.

    `root`: as uid 0 of the container instead. Raises PermissionDenied if the policy's `root_inside` forbids that.
    """

    access: ClassVar[Access] = Access.CONTAINER
    container: str
    program: ExecRequest
    root: bool = False

    @property
    def container_names(self) -> tuple[str, ...]:
        return (self.container,)


@dataclass(frozen=True)
class _OfSession:
    """An operation on a program, by the engine's id for it: 256 random bits, known only to whoever started it."""

    access: ClassVar[Access] = Access.EVERYBODY
    session: str


@dataclass(frozen=True)
class ResizeTerminal(_OfSession, Operation[None]):
    """Set the size of a program's terminal."""

    rows: int
    columns: int


@dataclass(frozen=True)
class SendSignal(_OfSession, Operation[bool]):
    """Send a signal to a program; False if it could not be sent and the program continues."""

    number: int


@dataclass(frozen=True)
class GetExitCode(_OfSession, Operation[int | None]):
    """Return the exit code of a program; None while it runs."""
