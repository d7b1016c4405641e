"""Facts about the files of an image. They never change for an image id, so Docker has to be asked only once."""

from __future__ import annotations

from ds01.dataclass import dataclass

BASH, SH = "/bin/bash", "/bin/sh"


@dataclass(frozen=True)
class ClosedPrograms:
    """Programs below /root that only root can start, because root's directories are closed to others.

    `reasons`: what leads there, to show. `directories`: those that others may not enter, from /root down; empty: all
    programs can be started.
    """

    reasons: tuple[str, ...]
    directories: tuple[str, ...]


NONE_CLOSED = ClosedPrograms((), ())


@dataclass(frozen=True)
class ImageFacts:
    """What ds01 needs to know about an image's files.

    `passwd` and `group`: the files below /etc, undecodable bytes as surrogates (PEP 383); None if the image has none.
    """

    shell: str | None  # BASH if the image has it, else SH; None: it has no shell
    passwd: str | None
    group: str | None
    closed: ClosedPrograms | None  # None: the engine refused to say

    @property
    def is_complete(self) -> bool:
        """Whether a container can be created with these facts, and nothing is unknown."""
        return self.shell in (BASH, SH) and self.closed is not None
