"""What the dashboard draws: the last answers, their age, and the history of the last hour."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from ds01.api.seeing.events import EventView
from ds01.api.seeing.server_view import ServerView
from ds01.cli.dashboard.history import History
from ds01.dataclass import dataclass


@dataclass(frozen=True)
class Sample:
    """The last good view. `age`: seconds since it was gathered. `problem`: why there is no newer one.

    `events`: the last ones, oldest first; None as long as their view was not shown.
    `history` grows with every view, in the thread that draws.
    """

    now: datetime
    view: ServerView | None = None
    age: float = 0.0
    problem: str | None = None
    events: tuple[EventView, ...] | None = None
    history: History = field(default_factory=History)
