"""Operations on images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import ClassVar

from ds01.api.answers import ImageView
from ds01.api.operation import Access, Operation, StreamOperation
from ds01.dataclass import dataclass
from ds01.engines.protocol import Progress
from ds01.records.request import BuildRequest


@dataclass(frozen=True)
class HasImage(Operation[bool]):
    """Return whether the server has an image."""

    access: ClassVar[Access] = Access.EVERYBODY
    image: str


@dataclass(frozen=True)
class GetImageLabels(Operation[Mapping[str, str]]):
    """Return the labels of an image; empty if this server does not have it."""

    access: ClassVar[Access] = Access.EVERYBODY
    image: str


@dataclass(frozen=True)
class ListImages(Operation[tuple[ImageView, ...]]):
    """List a user's own images, `ds01-UID/…`, and the containers created from them."""

    access: ClassVar[Access] = Access.EVERYBODY
    owner: int | None = None


@dataclass(frozen=True)
class RemoveImage(Operation[None]):
    """Remove an image `ds01-UID/NAME[:TAG]` of the actor, or as an administrator of anybody.

    Raises PermissionDenied, NotFound, and InvalidState with the containers that use it.
    """

    access: ClassVar[Access] = Access.EVERYBODY  # the handler checks the owner, which is part of the name
    reference: str


@dataclass(frozen=True)
class PullImage(StreamOperation[Progress, None]):
    """Fetch an image from its registry. Closing the stream cancels."""

    access: ClassVar[Access] = Access.EVERYBODY
    image: str


@dataclass(frozen=True)
class BuildImage(StreamOperation[Progress, None]):
    """Build `ds01-OWNER/NAME:latest` under the owner's limits and in the owner's slice.

    `build_context`: a tar archive in pieces, sent over a socket separately from the operation. The name keeps its image
    until the new one is complete; closing the stream cancels. A build has no GPU, but under an nvidia default runtime
    a base image with `NVIDIA_VISIBLE_DEVICES=all` gets all of them: its Dockerfile should set the variable to `void`
    right after FROM.
    """

    access: ClassVar[Access] = Access.OWNER
    request: BuildRequest
    build_context: Iterable[bytes] = field(metadata={"stream": True})

    @property
    def owner_uid(self) -> int:
        return self.request.owner
