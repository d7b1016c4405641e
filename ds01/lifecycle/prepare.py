"""Check a request as far as possible without a lease or the engine's containers: owner, limits, image, directories."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ds01.dataclass import dataclass
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
    """A request that passed every check that needs no lease. Its directories are resolved."""

    request: ContainerRequest
    owner: Account
    limits: UserLimits
    image: EngineImage | None  # None: not present yet; allowed for a plan only
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
    """Check a request: owner, name, wants, labels, image, directories. Raises Ds01Error.

    Nothing is created: `create_workspace` comes later, when the container is sure to be created.
    `image`: the request's image, if already known. `plan_only`: the image may be missing.
    """
    owner = context.users.by_uid(request.owner)
    limits = context.rules.limits(owner)
    try:
        full = container_name(request.name, owner.uid)
    except ValueError as error:
        raise UsageError(f"invalid container name {request.name!r}", why=str(error)) from None
    if request.project is not None and not NAME_PATTERN.fullmatch(
        request.project
    ):  # it becomes a directory and a label
        raise UsageError(f"invalid project name {request.project!r}", why=f"allowed: {NAME_FORM}")
    _check_numbers(request)
    _check_wants(request.wants, limits)
    for port in request.ports or ():
        if port.host_ip != LOOPBACK:
            raise PermissionDenied(
                f"port {port.container_port} would be open to {port.host_ip}",
                why=f"ports are published on {LOOPBACK} only",
                hint="use `ssh -L` to reach it from elsewhere",
            )
    for key in request.labels:
        if key.startswith(RESERVED_LABELS):
            raise PermissionDenied(f"the label {key} is reserved for ds01")
    _check_environment(request)
    image = image or context.engine.image(request.image)
    if image is None and not plan_only:
        raise NotFound(
            f"there is no image {request.image} on this server",
            hint="choose another with --image, or a framework with --framework",
        )
    resolved, folders = _resolve_folders(context, actor, request, owner)
    return Prepared(resolved, owner, limits, image, folders, full)


def create_workspace(context: Context, actor: Actor, prepared: Prepared) -> Prepared:
    """Create the workspace if it does not exist, and return the request with its directories resolved again.

    Raises Ds01Error.
    """
    owner, request = prepared.owner, prepared.request
    workspace = str(request.workspace)
    workspaces = context.rules.policy.workspaces_of(owner.login, owner.home)
    mount_sources.make(workspace, owner=owner, actor=actor, usual=Path(workspace).is_relative_to(workspaces))
    resolved, folders = _resolve_folders(context, actor, request, owner, must_exist=True)
    return dataclasses.replace(prepared, request=resolved, folders=folders)


def _check_numbers(request: ContainerRequest) -> None:
    """Raise UsageError for values up to zero, which mean "no limit" to Docker."""
    for key, wanted in vars(request.wants).items():
        if wanted is not None and not (wanted > 0 and math.isfinite(wanted)):
            raise UsageError(f"invalid {key} {wanted}", hint="it must be more than 0")
    if request.gpus.count is not None and request.gpus.count < 0:
        raise UsageError(f"invalid number of GPUs {request.gpus.count}")


def _check_environment(request: ContainerRequest) -> None:
    for name, value in request.environment.items():
        if not variables.NAME_PATTERN.fullmatch(name):  # a `=` in it would set another variable
            raise UsageError(f"invalid variable name {name!r}", why=f"allowed: {variables.NAME_FORM}")
        if "\0" in value:
            raise UsageError(f"the variable {name} contains a NUL byte")
        if variables.is_reserved(name):
            raise PermissionDenied(
                f"the variable {name} is set by ds01 itself",
                why=f"{variables.RESERVED_PREFIX}* and {', '.join(variables.RESERVED_NAMES)} determine the "
                "home, the programs and the GPUs of a container",
                hint="set it inside the container, in the program's start script",
            )


def _check_wants(wants: RequestedLimits, limits: UserLimits) -> None:
    for key, wanted in vars(wants).items():
        limit = getattr(limits.limits, key)
        if wanted is not None and limit is not None and wanted > limit:
            raise PermissionDenied(
                f"{key} {wanted} is more than the policy allows",
                why=f"the limit of {limits.user} is {limit}, from {limits.sources.get(key, 'defaults')}",
            )


def _resolve_folders(
    context: Context, actor: Actor, request: ContainerRequest, owner: Account, *, must_exist: bool = False
) -> tuple[ContainerRequest, tuple[Folder, ...]]:
    workspaces = context.rules.policy.workspaces_of(owner.login, owner.home)
    workspace = request.workspace or f"{workspaces}/{request.project or request.name}"
    # The owner of a sandbox may do everything in it, also mount their directories for its simulated users.
    also = actor.uid if context.sandbox and actor.uid == context.ledger.owner_uid else None
    resolve: Callable[..., Folder] = partial(mount_sources.resolve, owner=owner, also_uid=also)
    mounts = context.rules.policy.mounts
    folders: dict[str, Folder] = {}
    if must_exist or mount_sources.exists(workspace, owner=owner):
        folders["workspace"] = resolve(workspace, allowed=mounts.workspace)
    if request.data is not None:
        folders["data"] = resolve(request.data, allowed=mounts.data)
    if request.models is not None:
        folders["models"] = resolve(request.models, allowed=mounts.models)
    paths: dict[str, Any] = {"workspace": workspace} | {kind: folder.path for kind, folder in folders.items()}
    return dataclasses.replace(request, **paths), tuple(folders.values())
