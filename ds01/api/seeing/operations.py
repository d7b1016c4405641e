"""Operations that show the server."""

from __future__ import annotations

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
class GetMetrics(Operation[str]):
    """Return the metrics of the server in Prometheus's text format. They name everybody."""

    access: ClassVar[Access] = Access.ADMIN
