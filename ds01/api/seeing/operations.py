"""Operations that show the server."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from ds01.api.operation import Access, Operation
from ds01.api.seeing.server_view import ServerView
from ds01.dataclass import dataclass


@dataclass(frozen=True)
class GetServerView(Operation[ServerView]):
    """Return the whole server. Others' images, paths, ports and commands are left out for users.

    `public`: only what anybody may see, whoever asks; without names if the policy says so.
    """

    public: bool = False

    access: ClassVar[Access] = Access.EVERYBODY


@dataclass(frozen=True)
class SlotUse:
    """What was measured of a leased slot from one tick to the next. `percent` None: its utilisation is unknown."""

    uuid: str
    user: str
    since: datetime
    until: datetime
    percent: float | None


@dataclass(frozen=True)
class GetRecentUse(Operation[tuple[SlotUse, ...]]):
    """Return the use of all leased slots in the last hour, as the ticks measured it, in the order of time."""

    access: ClassVar[Access] = Access.EVERYBODY


@dataclass(frozen=True)
class GetMetrics(Operation[str]):
    """Return the metrics of the server in Prometheus's text format. They name everybody."""

    access: ClassVar[Access] = Access.ADMIN
