"""Parse image references as Docker does: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`."""

from __future__ import annotations

import re

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
# The part before the first slash is a host if it has a dot or a port, or is localhost; else it is in lower case.
_HOST = (
    r"(?:localhost(?::[0-9]+)?|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+(?::[0-9]+)?|[a-zA-Z0-9-]+:[0-9]+"
    r"|\[[0-9a-fA-F:]+\](?::[0-9]+)?)"
)
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_HOST}/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?"
)


DOCKER_HUB = "docker.io"


def is_reference(reference: str) -> bool:
    """Return whether Docker would accept `reference` as the name of an image."""
    return _REFERENCE.fullmatch(reference) is not None


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag or digest; the default tag is `latest`. Raises ValueError for an invalid reference."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ValueError(f"not an image reference: {reference!r}")
    return match["repository"], match["digest"] or match["tag"] or "latest"


def with_tag(reference: str) -> str:
    """Return the reference with an explicit tag, so that it cannot be taken for an image id or for all tags."""
    repository, tag = split_reference(reference)
    return f"{repository}{'@' if ':' in tag else ':'}{tag}"


def registry_of(repository: str) -> str:
    """Return the registry's host and port; `docker.io` (Docker Hub) if the name has none."""
    first, slash, _ = repository.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    if not is_host or first == "index.docker.io":
        return DOCKER_HUB
    return first
