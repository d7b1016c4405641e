"""The checks of a create that need neither a lease nor the engine's containers: owner, limits, image, folders."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ds01.engines.protocol import EngineImage
from ds01.errors import NotFound, PermissionDenied, UsageError
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.spec import mount_sources
from ds01.lifecycle.spec.compose import RESERVED_LABELS
from ds01.lifecycle.spec.mount_sources import Folder
from ds01.policy import variables
from ds01.policy.model import UserLimits
from ds01.policy.names import NAME_FORM, NAME_PATTERN, container_name
from ds01.records.request import ContainerRequest, RequestedLimits
from ds01.system.host_ports import LOOPBACK
from ds01.system.users import Account, Actor


@dataclass(frozen=True)
class Prepared:
    """A request that passed every check that needs no lease. Its folders are resolved."""

    request: ContainerRequest
    owner: Account
    limits: UserLimits
    image: EngineImage | None  # None: it is not there yet, good enough for a plan
    folders: tuple[Folder, ...]
    container_name: str


def prepare(
    context: Context,
    actor: Actor,
    request: ContainerRequest,
    *,
    image: EngineImage | None = None,
    plan_only: bool = False,
) -> Prepared:
    """Check a request: owner, name, wants, labels, image, folders. Raises Ds01Error.

    `image`: the request's image, if the engine was asked already. `plan_only`: nothing is made, and the image may
    still be missing.
    """
    owner = context.users.by_uid(request.owner)
    limits = context.rules.limits(owner)
    try:
        full = container_name(request.name, owner.uid)
    except ValueError as error:
        raise UsageError(f"{request.name!r} is not a container name", why=str(error)) from None
    if request.project is not None and not NAME_PATTERN.fullmatch(request.project):  # a folder, and a label
        raise UsageError(f"{request.project!r} is not a project name", why=f"allowed: {NAME_FORM}")
    _check_numbers(request)
    _check_wants(request.wants, limits)
    for port in request.ports or ():
        if port.host_ip != LOOPBACK:
            raise PermissionDenied(
                f"port {port.container_port} would be open to {port.host_ip}",
                why=f"ports are published on {LOOPBACK} only",
                hint="reach it from elsewhere through ssh -L",
            )
    for key in request.labels:
        if key.startswith(RESERVED_LABELS):
            raise PermissionDenied(f"the label {key} is ds01's own")
    _check_environment(request)
    image = image or context.engine.image(request.image)
    if image is None and not plan_only:
        raise NotFound(
            f"there is no image {request.image} on this server",
            hint="name another with --image, or a framework with --framework",
        )
    resolved, found = _resolve_folders(context, actor, request, owner, make=not plan_only)
    return Prepared(resolved, owner, limits, image, found, full)


def _check_numbers(request: ContainerRequest) -> None:
    """Zero and less mean "no limit" to Docker."""
    for key, wanted in vars(request.wants).items():
        if wanted is not None and not (wanted > 0 and math.isfinite(wanted)):
            raise UsageError(f"{key} {wanted} is no limit", hint="it has to be more than 0")
    if request.gpus.count is not None and request.gpus.count < 0:
        raise UsageError(f"{request.gpus.count} is not a number of GPUs")


def _check_environment(request: ContainerRequest) -> None:
    for name, value in request.environment.items():
        if not variables.NAME_PATTERN.fullmatch(
            name
        ):  # with a `=` in it, it would be another variable to whoever reads it
            raise UsageError(f"{name!r} cannot be the name of a variable", why=f"allowed: {variables.NAME_FORM}")
        if "\0" in value:
            raise UsageError(f"the variable {name} cannot hold a NUL byte")
        if variables.is_reserved(name):
            raise PermissionDenied(
                f"the variable {name} is set by ds01 itself",
                why=f"{variables.RESERVED_PREFIX}* and {', '.join(variables.RESERVED_NAMES)} decide the home, "
                "the programs and the GPUs of a container",
                hint="set it inside, in the program's own start script",
            )


def _check_wants(wants: RequestedLimits, limits: UserLimits) -> None:
    for key, wanted in vars(wants).items():
        limit = getattr(limits.limits, key)
        if wanted is not None and limit is not None and wanted > limit:
            raise PermissionDenied(
                f"{key} {wanted} is more than the policy gives",
                why=f"the limit of {limits.user} is {limit}, from {limits.sources.get(key, 'defaults')}",
            )


def _resolve_folders(
    context: Context, actor: Actor, request: ContainerRequest, owner: Account, *, make: bool
) -> tuple[ContainerRequest, tuple[Folder, ...]]:
    workspaces = context.rules.policy.workspaces_of(owner.login, owner.home)
    workspace = request.workspace or f"{workspaces}/{request.project or request.name}"
    if make:
        mount_sources.make(workspace, owner=owner, actor=actor, usual=Path(workspace).is_relative_to(workspaces))
    # In a state folder of one's own its owner may do everything, also lend own folders to the people played there.
    also = actor.uid if context.sandbox and actor.uid == context.ledger.owner_uid else None
    resolve: Callable[..., Folder] = partial(mount_sources.resolve, owner=owner, also_uid=also)
    mounts = context.rules.policy.mounts
    found: dict[str, Folder] = {}
    if make or mount_sources.exists(workspace, owner=owner):
        found["workspace"] = resolve(workspace, allowed=mounts.workspace)
    if request.data is not None:
        found["data"] = resolve(request.data, allowed=mounts.data)
    if request.models is not None:
        found["models"] = resolve(request.models, allowed=mounts.models)
    paths: dict[str, Any] = {"workspace": workspace} | {kind: folder.path for kind, folder in found.items()}
    return dataclasses.replace(request, **paths), tuple(found.values())
