"""Problems of a policy, each with file, line, key and what is allowed."""

from __future__ import annotations

from dataclasses import asdict, field
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import PolicyUnreadable


@dataclass(frozen=True)
class PolicyProblem:
    """One problem; `line` is None for the file as a whole, `key` is empty without a key."""

    file: str
    line: int | None
    key: str
    problem: str
    allowed: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {key}{self.problem}" + (f"; allowed: {self.allowed}" if self.allowed else "")


class InvalidNode(Exception):
    """Raised by a reader for an invalid value. The enclosing section or list records it and continues."""

    def __init__(self, line: int | None, key: str, problem: str, allowed: str | None = None) -> None:
        super().__init__(problem)
        self.line = line
        self.key = key
        self.problem = problem
        self.allowed = allowed


@dataclass
class ProblemList:
    """The problems of one file, in the order in which they were found."""

    file: str
    entries: list[PolicyProblem] = field(default_factory=list)

    def add(self, line: int | None, key: str, problem: str, allowed: str | None = None) -> None:
        """Add a problem."""
        self.entries.append(PolicyProblem(self.file, line, key, problem, allowed))

    def add_invalid(self, wrong: InvalidNode) -> None:
        """Add the problem of an InvalidNode."""
        self.add(wrong.line, wrong.key, wrong.problem, wrong.allowed)


def unreadable_policy(
    path: Path, found: list[PolicyProblem], *, message: str | None = None, hint: str | None = None
) -> PolicyUnreadable:
    """Return the error that lists all problems, sorted by file and line."""
    ordered = sorted(found, key=lambda item: (item.file != str(path), item.file, item.line or 0))
    count = "1 error" if len(ordered) == 1 else f"{len(ordered)} errors"
    return PolicyUnreadable(
        message or f"The policy {path} has {count}.",
        why="\n".join(str(item) for item in ordered),
        hint=hint or "An administrator can correct the lines named above; `ds01 policy check` checks the result.",
        data={"errors": [asdict(item) for item in ordered]},
    )
