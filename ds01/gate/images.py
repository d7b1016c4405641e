"""Handlers of the operations on users' own images, `ds01-UID/NAME`. Nothing is leased for a build."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, suppress

from ds01.api.answers import ImageView
from ds01.api.images import BuildImage, GetImageLabels, HasImage, ListImages, PullImage, RemoveImage
from ds01.api.operation import Steps
from ds01.engines.protocol import BuildSpec, EngineContainer, EngineImage, Progress
from ds01.engines.references import is_reference, split_reference, with_tag
from ds01.errors import Ds01Error, EngineNotFound, InvalidState, NotFound, PermissionDenied, UsageError
from ds01.gate.call import Call
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.limits import limits_for_engine
from ds01.policy.model import Network
from ds01.policy.names import container_name, split_container_name
from ds01.records.entries import is_manual, readable
from ds01.records.request import BuildRequest
from ds01.system.users import Account, Actor

_OWN = re.compile(r"ds01-(0|[1-9][0-9]{0,9})/(.+)")
_LABEL = re.compile(r"ds01\.[a-z][a-z0-9._-]*")


def owner_of(reference: str) -> int | None:
    """Return the uid of the owner of an own image; None for other images, and for the tag of a container."""
    match = _OWN.fullmatch(reference)
    if match is None or not is_reference(reference) or split_container_name(split_reference(reference)[1]) is not None:
        return None
    return int(match[1])


def has_image(call: Call, operation: HasImage) -> bool:
    """Return whether the server has an image."""
    return call.context.engine.image(operation.image) is not None


def get_image_labels(call: Call, operation: GetImageLabels) -> Mapping[str, str]:
    """Return the labels of an image."""
    image = call.context.engine.image(operation.image)
    return {} if image is None else image.labels


def list_images(call: Call, operation: ListImages) -> tuple[ImageView, ...]:
    """List a user's own images."""
    return own_images(call.context, call.actor.uid if operation.owner is None else operation.owner)


def remove_image(call: Call, operation: RemoveImage) -> None:
    """Remove an image, if the actor may."""
    uid = owner_of(operation.reference)
    if uid is None:
        raise PermissionDenied(
            f"{operation.reference} is not a user's image",
            why="only images named `ds01-UID/NAME` can be removed",
            code="access.denied",
        )
    call.check_owner(uid)
    remove(call.context, call.actor, operation.reference)


def pull_image(call: Call, operation: PullImage) -> Steps[Progress]:
    """Fetch an image."""
    return call.context.engine.pull(operation.image)


def build_image(call: Call, operation: BuildImage) -> Steps[Progress]:
    """Build an image under the owner's limits."""
    return build(call.context, call.actor, operation.request, operation.build_context)


def build(
    context: Context, actor: Actor, request: BuildRequest, build_context: Iterable[bytes]
) -> Generator[Progress, None, None]:
    """Build under the owner's limits. The previous image of that name is removed, unless something uses it.

    Each build is an event; a build that is closed early counts as failed.
    """
    owner = context.users.by_uid(request.owner)
    spec = build_spec(context, owner, request)
    before = context.engine.image(spec.reference)
    begun = context.clock()

    def emit(what: str, why: str | None = None) -> None:
        seconds = (context.clock() - begun).total_seconds()
        _emit(context, actor, owner.login, spec.reference, what, why=why, seconds=seconds)

    done = False
    try:
        with closing(context.engine.build(spec, build_context)) as steps:
            for step in steps:
                if step.step == "built":
                    done = True  # before the yield: the caller may close the stream now
                    _drop(context, before, step.text)
                    emit("built")
                yield step
    except Ds01Error as error:
        emit("failed", f"{error.message}: {error.why}" if error.why else error.message)
        raise
    except BaseException:
        if not done:
            emit("failed", "interrupted")
        raise


def build_spec(context: Context, owner: Account, request: BuildRequest) -> BuildSpec:
    """Return the build's specification. Raises UsageError for an invalid name or label."""
    given, _ = limits_for_engine(context, owner, context.rules.limits(owner))
    return BuildSpec(
        reference=_reference(owner.uid, request.name),
        dockerfile=request.dockerfile,
        labels=_checked(request.labels),
        no_cache=request.no_cache,
        arguments=request.arguments,
        # Where containers have no networks of their own, a build must still be able to install packages.
        network="host" if context.rules.policy.network is Network.HOST else None,
        memory=given.memory,
        memory_swap=given.memory_swap,
        cpu_quota=given.cpu_quota,
        cpu_period=given.cpu_period,
        shm_size=given.shm_size,
        cgroup_parent=given.cgroup_parent,
    )


def own_images(context: Context, uid: int) -> tuple[ImageView, ...]:
    """Return a user's own images by name, each with the containers created from it."""
    images = {tag: image for image in context.engine.images() for tag in image.tags if owner_of(tag) == uid}
    users = _users(context, images, uid)
    older = _outdated(context, images)
    return tuple(
        ImageView(
            reference=tag,
            name=tag.partition("/")[2].removesuffix(":latest"),
            id=image.id,
            created_at=image.created_at,
            size_bytes=image.size_bytes,
            labels=image.labels,
            used_by=users[tag],
            outdated=tuple(name for name in users[tag] if name in older[tag]),
        )
        for tag, image in sorted(images.items())
    )


def remove(context: Context, actor: Actor, reference: str) -> None:
    """Remove a user's own image. Raises NotFound, InvalidState while a container uses it."""
    uid = owner_of(reference)
    assert uid is not None
    reference = with_tag(reference)
    image = context.engine.image(reference)
    name = reference.partition("/")[2].removesuffix(":latest")
    if image is None:
        raise NotFound(f"there is no image {name}", hint="`image-list` shows yours")
    users = _users(context, {reference: image}, uid)[reference]
    if users:
        raise InvalidState(
            f"the image {name} is in use",
            why=f"containers created from it: {', '.join(users)}",
            hint="remove these first with `container-retire NAME`",
            data={"used_by": list(users)},
        )
    try:
        context.engine.remove_image(reference)
    except EngineNotFound:
        raise NotFound(f"there is no image {name}", hint="`image-list` shows yours") from None
    _emit(context, actor, _login(context, uid), reference, "removed")


def _reference(uid: int, name: str) -> str:
    try:
        container_name(name, uid)
    except ValueError as error:
        raise UsageError(f"invalid image name {name!r}", why=str(error)) from None
    reference = f"ds01-{uid}/{name}:latest"
    if not is_reference(reference):
        raise UsageError(
            f"invalid image name {name!r}",
            why="Docker requires a letter or digit at the end, and single - and _ in between",
        )
    return reference


def _checked(labels: Mapping[str, str]) -> dict[str, str]:
    for key in labels:
        if not _LABEL.fullmatch(key):
            raise UsageError(
                f"{key!r} is not a ds01 label",
                why="only labels that begin with `ds01.` are set here; put others in the Dockerfile",
            )
    # AIME's list splits at commas, and crashes on an extra one.
    return {key: "-" if "," in value else value for key, value in labels.items()}


def _drop(context: Context, before: EngineImage | None, built: str) -> None:
    """Remove the image that had the tag before, if it has no tag and no user: Docker would keep it for ever."""
    if before is None or before.id == built:
        return
    with suppress(Ds01Error):  # a container uses it, or another image is based on it
        untagged = context.engine.image(before.id)
        if untagged is not None and not untagged.tags:
            context.engine.remove_image(untagged.id)


def _users(context: Context, images: Mapping[str, EngineImage], uid: int) -> dict[str, tuple[str, ...]]:
    """Return the containers created from each image: by records, even if the tag has moved, and by the engine."""
    listed = context.observer.containers()
    records = [record for record in readable(context.ledger.read()) if not is_manual(record)]
    by_reference: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if is_reference(record.image):
            by_reference[with_tag(record.image)].append(record.container_name)
    by_id: dict[str | None, list[str]] = defaultdict(list)
    for container in listed:
        by_id[container.image_id].append(_name(container))
    return {
        tag: tuple(sorted({_short(name, uid) for name in by_reference[tag] + by_id[image.id]}))
        for tag, image in images.items()
    }


def _outdated(context: Context, images: Mapping[str, EngineImage]) -> dict[str, frozenset[str]]:
    """Return, by image, the containers that were created from an older image of that name."""
    image_ids = {
        container.name: container.image_id
        for container in context.observer.containers()
        if container.name and container.image_id
    }
    records = [record for record in readable(context.ledger.read()) if is_reference(record.image)]
    outdated: dict[str, frozenset[str]] = {}
    for tag, image in images.items():
        names = (record.container_name for record in records if with_tag(record.image) == tag)
        older = (name for name in names if image_ids.get(name, image.id) != image.id)
        outdated[tag] = frozenset(_short(name, owner_of(tag) or 0) for name in older)
    return outdated


def _name(container: EngineContainer) -> str:
    return container.name or container.id[:12]


def _short(name: str, uid: int) -> str:
    parts = split_container_name(name)
    return parts[0] if parts is not None and parts[1] == uid else name


def _login(context: Context, uid: int) -> str:
    try:
        return context.users.by_uid(uid).login
    except NotFound:
        return str(uid)


def _emit(context: Context, actor: Actor, login: str, reference: str, what: str, **more: object) -> None:
    context.emit("image", {"actor": actor.login, "user": login, "image": reference, "what": what, "why": None} | more)
