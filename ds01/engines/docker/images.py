"""Query, tag, remove and pull images."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import docker.errors

from ds01.engines.docker.client import Client
from ds01.engines.docker.login import pull_headers
from ds01.engines.docker.translate import read_image
from ds01.engines.engine_errors import error_from_response, one_line
from ds01.engines.protocol import EngineImage, Progress
from ds01.engines.pull_errors import pull_error
from ds01.engines.references import split_reference, with_tag
from ds01.errors import EngineConflict, EngineNotFound

_PULL_TIMEOUT = (10.0, 600.0)  # seconds to connect, and of silence: unpacking a layer takes long


def find_image(client: Client, reference: str) -> EngineImage | None:
    """Return the local image for a reference or an id, or None."""
    if not reference:
        return None
    try:
        with client.api_call("inspect an image") as api:
            return read_image(api.inspect_image(reference))
    except EngineNotFound:
        return None


def list_images(client: Client) -> list[EngineImage]:
    """Return all tagged local images."""
    with client.api_call("list the images") as api:
        found = [read_image(entry) for entry in api.images()]
    return [image_entry for image_entry in found if image_entry.tags]


def add_tag(client: Client, image: str, reference: str) -> None:
    """Add a tag to a local image."""
    repository, name = require_reference(reference)
    with client.api_call("tag an image") as api:
        path = f"/images/{quote(image, safe='/:@')}/tag"
        client.call(api, "POST", path, params={"repo": repository, "tag": name})


def remove_tag(client: Client, reference: str) -> None:
    """Remove a tag. The last tag stays while a container uses the image; Docker's conflict is ignored."""
    require_reference(reference)
    try:
        with client.api_call("untag an image") as api:
            api.remove_image(with_tag(reference), force=False, noprune=True)
    except (EngineNotFound, EngineConflict):
        return


def remove_image(client: Client, reference: str) -> None:
    """Remove a tag, and with the last tag the image and its untagged steps. Untagged images are given by id."""
    if not reference.startswith("sha256:"):
        require_reference(reference)
        reference = with_tag(reference)
    with client.api_call("remove the image") as api:
        api.remove_image(reference, force=False, noprune=False)


def pull_image(client: Client, reference: str) -> Generator[Progress, None, None]:
    """Pull an image. Closing the iterator closes the connection, and dockerd stops."""
    repository, name = require_reference(reference)
    login = pull_headers(client.config(), repository)
    for warning in client.new_warnings(login.warnings):
        yield Progress("", warning, warning=True)
    with client.api_call("fetch the image") as api:
        try:
            response = client.call(
                api,
                "POST",
                "/images/create",
                params={"fromImage": repository, "tag": name},
                headers=login.values,
                stream=True,
                timeout=_PULL_TIMEOUT,
            )
        except docker.errors.APIError as error:
            raise pull_error(reference, str(error.explanation)) from error
        try:
            for line in response.iter_lines(chunk_size=None):
                if line.strip():
                    yield read_progress(reference, json.loads(line))
        finally:
            response.close()


def read_progress(reference: str, entry: dict[str, Any]) -> Progress:
    """Parse one line of a pull's answer. Raises as `pull` for an error line."""
    if "error" in entry:
        raise pull_error(reference, str(entry["error"]))
    detail = entry.get("progressDetail") or {}
    return Progress(
        step=entry.get("id") or "",
        text=one_line(entry.get("status") or ""),
        current=detail.get("current"),
        total=detail.get("total"),
    )


def require_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag, or digest. Raises EngineRejected for an invalid image name."""
    try:
        return split_reference(reference)
    except ValueError as error:
        raise error_from_response(400, f"invalid reference format: {reference}", "use this image's name") from error
