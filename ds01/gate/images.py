"""People's own images, `ds01-UID/NAME`: building, listing, removing. Nothing is leased for a build."""

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
    """The uid whose own image a reference names; None for any other, and for the tag of a container."""
    found = _OWN.fullmatch(reference)
    if found is None or not is_reference(reference) or split_container_name(split_reference(reference)[1]) is not None:
        return None
    return int(found[1])


def has_image(call: Call, operation: HasImage) -> bool:
    """Tell whether the server has an image."""
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
            f"{operation.reference} is not an image of a user",
            why="only images `ds01-UID/NAME` are removed",
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
    """Build under the owner's limits. The image that had the name before goes, unless something uses it.

    Each build is an event; one that is closed before its end is a failed one.
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
                    done = True  # before it is handed out: the caller may well stop listening now
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
    """What the engine builds. Raises UsageError for a name or a label that is none."""
    given, _ = limits_for_engine(context, owner, context.rules.limits(owner))
    return BuildSpec(
        reference=_reference(owner.uid, request.name),
        dockerfile=request.dockerfile,
        labels=_checked(request.labels),
        no_cache=request.no_cache,
        arguments=request.arguments,
        # A server without containers' networks still has to install packages.
        network="host" if context.rules.policy.network is Network.HOST else None,
        memory=given.memory,
        memory_swap=given.memory_swap,
        cpu_quota=given.cpu_quota,
        cpu_period=given.cpu_period,
        shm_size=given.shm_size,
        cgroup_parent=given.cgroup_parent,
    )


def own_images(context: Context, uid: int) -> tuple[ImageView, ...]:
    """A user's own images by name, each with the containers that were made from it."""
    found = {tag: image for image in context.engine.images() for tag in image.tags if owner_of(tag) == uid}
    users = _users(context, found, uid)
    older = _outdated(context, found)
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
        for tag, image in sorted(found.items())
    )


def remove(context: Context, actor: Actor, reference: str) -> None:
    """Remove somebody's own image. Raises NotFound, InvalidState while a container uses it."""
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
            why=f"made from it: {', '.join(users)}",
            hint="`container-retire NAME` removes a container; its image can go then",
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
        raise UsageError(f"{name!r} is not an image name", why=str(error)) from None
    reference = f"ds01-{uid}/{name}:latest"
    if not is_reference(reference):
        raise UsageError(
            f"{name!r} is not an image name",
            why="Docker wants a letter or digit at the end, and single - and _ in between",
        )
    return reference


def _checked(labels: Mapping[str, str]) -> dict[str, str]:
    for key in labels:
        if not _LABEL.fullmatch(key):
            raise UsageError(
                f"{key!r} is not a label of ds01", why="those begin with `ds01.`; others go in the Dockerfile"
            )
    # AIME's list splits at commas, and crashes on one more.
    return {key: "-" if "," in value else value for key, value in labels.items()}


def _drop(context: Context, before: EngineImage | None, made: str) -> None:
    """Remove the image that had the tag before, if nothing names or uses it: Docker would keep it for ever."""
    if before is None or before.id == made:
        return
    with suppress(Ds01Error):  # a container uses it, or an image was made from it
        left = context.engine.image(before.id)
        if left is not None and not left.tags:
            context.engine.remove_image(left.id)


def _users(context: Context, images: Mapping[str, EngineImage], uid: int) -> dict[str, tuple[str, ...]]:
    """Who was made from each image: by the record, wherever the tag is now; and by what the engine says."""
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
    """The containers by image that were made when the image was another one."""
    made_from = {
        container.name: container.image_id
        for container in context.observer.containers()
        if container.name and container.image_id
    }
    records = [record for record in readable(context.ledger.read()) if is_reference(record.image)]
    found: dict[str, frozenset[str]] = {}
    for tag, image in images.items():
        names = (record.container_name for record in records if with_tag(record.image) == tag)
        older = (name for name in names if made_from.get(name, image.id) != image.id)
        found[tag] = frozenset(_short(name, owner_of(tag) or 0) for name in older)
    return found


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
