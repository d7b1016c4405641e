"""Requests for containers and images, as plain data. A record keeps its request so that it can be created again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ds01.dataclass import dataclass
from ds01.engines.protocol import PublishedPort
from ds01.gpus.model import GpuRequest


@dataclass(frozen=True)
class RequestedLimits:
    """Limits that the user asks for, in cores, bytes and processes. Values above the policy's are refused."""

    max_cpus: float | None = None
    memory: int | None = None
    shm_size: int | None = None
    pids_limit: int | None = None


@dataclass(frozen=True)
class ContainerRequest:
    """A request for a container. `owner`: the uid that it is created for. Paths are absolute."""

    owner: int
    name: str
    image: str
    gpus: GpuRequest = field(default_factory=GpuRequest)
    project: str | None = None  # None: the name
    framework: str | None = None  # for display, as `Pytorch-2.5.1`
    workspace: str | None = None  # None: ~/workspace/PROJECT
    data: str | None = None
    models: str | None = None
    ports: tuple[PublishedPort, ...] | None = None  # None: the policy's
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    wants: RequestedLimits = field(default_factory=RequestedLimits)


@dataclass(frozen=True)
class BuildRequest:
    """A request to build the image `ds01-OWNER/NAME:latest`. `dockerfile`: its path in the build context."""

    owner: int
    name: str
    dockerfile: str = "Dockerfile"
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    arguments: Mapping[str, str] = field(default_factory=dict)
