"""Read Docker's disk use from `system df`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docker.utils import version_gte

from ds01.engines.docker.client import Client
from ds01.engines.protocol import DiskItem, DiskUsage

_TIMEOUT = 100.0  # seconds; Docker walks through the layers of all containers and through all volumes
_LAST_VERSION = "1.51"  # of the API; from 1.52 on, the answer has another form


def read_disk_usage(client: Client) -> DiskUsage:
    """Return what takes how much disk space. Raises EngineUnreachable, EngineConflict while another df runs."""
    with client.api_call("measure its disk use") as api:
        version = _LAST_VERSION if version_gte(api.api_version, _LAST_VERSION) else api.api_version
        answer = client.call(api, "GET", "/system/df", timeout=_TIMEOUT, version=version).json()
    return parse_disk_usage(answer)


def parse_disk_usage(answer: Mapping[str, Any]) -> DiskUsage:
    """Parse the answer. Docker writes -1 for what it did not measure."""
    caches = answer.get("BuildCache")
    return DiskUsage(
        layers_bytes=_size(answer.get("LayersSize")),
        images=tuple(_image(entry) for entry in answer.get("Images") or ()),
        containers=tuple(
            # No size: nothing was written since it was created.
            DiskItem(entry["Id"], tuple(name.lstrip("/") for name in entry.get("Names") or ()), entry.get("SizeRw", 0))
            for entry in answer.get("Containers") or ()
        ),
        volumes=tuple(
            DiskItem(entry["Name"], (entry["Name"],), _size((entry.get("UsageData") or {}).get("Size")))
            for entry in answer.get("Volumes") or ()
        ),
        # Shared caches are layers of images.
        build_cache_bytes=sum(_size(entry.get("Size")) or 0 for entry in caches or () if not entry.get("Shared")),
    )


def _image(entry: Mapping[str, Any]) -> DiskItem:
    size, shared = _size(entry.get("Size")), _size(entry.get("SharedSize"))
    own = None if size is None or shared is None else max(0, size - shared)
    return DiskItem(entry["Id"], tuple(tag for tag in entry.get("RepoTags") or () if "<none>" not in tag), own)


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
