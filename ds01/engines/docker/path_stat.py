"""Query the status of a path inside a container."""

from __future__ import annotations

import base64
import json
from typing import Any

import docker.errors

from ds01.engines.docker.client import Client
from ds01.engines.protocol import PathStatus
from ds01.errors import EngineRejected

_HEADER = "X-Docker-Container-Path-Stat"


def path_status(client: Client, api: Any, address: str, path: str) -> PathStatus | None:
    """Return the status of a path; None if the path or the container does not exist, which the answer does not tell."""
    try:
        response = client.call(api, "HEAD", address, params={"path": path})
    except docker.errors.NotFound:
        return None
    try:
        stat_fields = json.loads(base64.b64decode(response.headers.get(_HEADER, "")))
        return PathStatus(int(stat_fields["mode"]) & 0o777, stat_fields.get("linkTarget") or None)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EngineRejected("Docker could not look at files of the container", why=str(error)) from error
