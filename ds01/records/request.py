"""What was asked for: plain data, made by the command line, kept in the record so that it can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ds01.engines.protocol import PublishedPort
from ds01.gpus.model import GpuRequest


@dataclass(frozen=True)
class RequestedLimits:
    """Limits smaller than the policy's: honoured; larger ones are refused. Cores, bytes, processes."""

    max_cpus: float | None = None
    memory: int | None = None
    shm_size: int | None = None
    pids_limit: int | None = None


@dataclass(frozen=True)
class ContainerRequest:
    """A container that somebody asks for. `owner` is the uid it is made for; paths are absolute."""

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
    """An image that somebody wants built: `ds01-OWNER/NAME:latest`. `dockerfile` is its path in the context."""

    owner: int
    name: str
    dockerfile: str = "Dockerfile"
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    arguments: Mapping[str, str] = field(default_factory=dict)
