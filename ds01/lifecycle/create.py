"""Create a container: check, lease, create, read back, commit. A failure undoes what was created."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from ds01.api.refusals import error_of
from ds01.dataclass import dataclass
from ds01.engines.protocol import ContainerSpec, EngineImage, PublishedPort
from ds01.errors import (
    Busy,
    Ds01Error,
    EngineNotFound,
    EngineRejected,
    InvalidState,
)
from ds01.gpus.model import Choice, Lease, Refusal
from ds01.gpus.requirements import UNKNOWN_DRIVER, DriverInfo, image_requirements, is_unmet
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.observer import NO_GPUS
from ds01.lifecycle.context.slot_names import update_names
from ds01.lifecycle.limits import cgroup_parent
from ds01.lifecycle.name_taken import name_taken
from ds01.lifecycle.prepare import Prepared, create_workspace, prepare
from ds01.lifecycle.snapshot import Snapshot, take_snapshot
from ds01.lifecycle.spec import ports, root_only
from ds01.lifecycle.spec.account import Insider, archive
from ds01.lifecycle.spec.aime import is_marked, own_tag
from ds01.lifecycle.spec.compose import Host, Identity, Placement, compose
from ds01.lifecycle.spec.image_facts import no_shell_error
from ds01.lifecycle.spec.image_lookup import facts_of, remember
from ds01.lifecycle.spec.verify import differences
from ds01.placement.allocation_input import Requester
from ds01.placement.allocator import check_container_count, choose_slots
from ds01.policy.names import slice_name
from ds01.records.entries import Entries, containers_of, readable
from ds01.records.ledger import UnreadableRecord
from ds01.records.record import Pending, Record, apply_transition
from ds01.records.request import ContainerRequest
from ds01.records.state_machine import State, Trigger
from ds01.system.owner_groups import HostGroup, groups_of_directories
from ds01.system.users import Actor


@dataclass(frozen=True)
class Created:
    """A new container with its lease; it does not run yet. `note`: why it has no GPU (`no_gpus`, `quota_zero`)."""

    record: Record
    warnings: tuple[str, ...]
    note: str | None


def observe(
    context: Context, prepared: Prepared, *, locked: bool, waiting_as: str | None = None
) -> tuple[Snapshot, DriverInfo]:
    """Take the snapshot for a container, and read the driver's capabilities if the image has requirements.

    `locked`: the container's lock is held by the caller. `waiting_as`: the caller's id in the queue.
    """
    snapshot = take_snapshot(
        context,
        locked=(prepared.container_name,) if locked else (),
        gpus=NO_GPUS if prepared.request.gpus.count == 0 else None,
        waiting_as=waiting_as,
    )
    environment = prepared.image.environment if prepared.image is not None else {}
    requires = bool(snapshot.gpus.gpus and image_requirements(environment))
    return snapshot, context.inventory.driver_info() if requires else UNKNOWN_DRIVER


def decide(
    context: Context, prepared: Prepared, snapshot: Snapshot, driver: DriverInfo, entries: Entries
) -> Choice | Refusal:
    """Return the slots for a new container, or why it gets none. Raises InvalidState if the driver is too old."""
    limits = prepared.limits.limits
    others = containers_of(entries, prepared.owner.uid, but=prepared.container_name)
    refusal = check_container_count(limits.max_containers_per_user, others)
    if refusal is not None:
        return refusal
    who = requester_of(prepared)
    choice = choose_slots(snapshot.allocation_input(context, entries), prepared.request.gpus, who, limits)
    if isinstance(choice, Choice):
        check_driver(prepared, driver, {slot.gpu for slot in choice.slots})
    elif choice.temporary:  # before the user waits for hours for a GPU that cannot work
        check_driver(prepared, driver, {gpu.index for gpu in snapshot.gpus.gpus}, any_will_do=True)
    return choice


def requester_of(prepared: Prepared) -> Requester:
    """Return the owner of a prepared container as the allocator sees them."""
    return Requester(prepared.owner.login, prepared.owner.uid, prepared.limits.group, prepared.container_name)


def check_driver(prepared: Prepared, driver: DriverInfo, gpus: set[int], *, any_will_do: bool = False) -> None:
    """Raise InvalidState if the image needs a newer driver than one of these GPUs has; with `any_will_do`, than all.

    Otherwise NVIDIA's runtime would refuse the start, after the lease was taken and the container created.
    """
    for requirement in image_requirements(prepared.image.environment) if prepared.image is not None else ():
        failing = [is_unmet(requirement, driver, driver.gpu_info(gpu)) for gpu in gpus]
        if not failing or not (all(failing) if any_will_do else any(failing)):
            continue
        needs = f"CUDA {requirement.oldest_cuda} or newer" if requirement.oldest_cuda else requirement.text
        raise InvalidState(
            f"the image {prepared.request.image} needs {needs}, but this server's driver has CUDA {driver.cuda or '?'}",
            why=f"the image says {requirement.variable}={requirement.text}; the driver is {driver.driver}",
            hint=f"choose an image for CUDA {driver.cuda or '?'} or older, or ask an administrator for a newer driver; "
            "--cpu-only needs none",
        )


def check_name(prepared: Prepared, snapshot: Snapshot, entries: Entries) -> None:
    """Raise InvalidState if the name is taken, Busy if its record cannot be read."""
    entry = entries.get(prepared.container_name)
    name = prepared.request.name
    if isinstance(entry, Record):
        raise name_taken(entry)
    if isinstance(entry, UnreadableRecord):
        raise Busy(f"the record of {name} cannot be read and is being repaired", why=entry.why)
    same_name = [container for container in snapshot.containers if container.name == prepared.container_name]
    if same_name:
        full = prepared.container_name
        remedy = f"adopt it: container-adopt {name}" if is_marked(same_name[0]) else f"remove it: docker rm {full}"
        raise InvalidState(
            f"Docker has a container {full} that ds01 did not create", hint=f"choose another name, or {remedy}"
        )


@contextmanager
def create(
    context: Context,
    actor: Actor,
    request: ContainerRequest,
    *,
    image: EngineImage | None = None,
    waiting_as: str | None = None,
) -> Iterator[Created]:
    """Create a container with its lease; it does not run yet. Raises Ds01Error, and leaves nothing behind.

    For the block, the caller has the container's lock, so that a start can follow before anybody else's command.
    `image`: the request's image, if already known. `waiting_as`: the caller's id in the queue.
    """
    context.rules.refresh()
    prepared = prepare(context, actor, request, image=image)
    with context.ledger.container_lock(prepared.container_name, doing=f"being created by {actor.login}"):
        snapshot, driver = observe(context, prepared, locked=True, waiting_as=waiting_as)
        # Decided before a directory is created, so that a refusal leaves none behind; again under the ledger's lock.
        check_name(prepared, snapshot, snapshot.records)
        choice = decide(context, prepared, snapshot, driver, snapshot.records)
        if isinstance(choice, Refusal):
            raise error_of(choice)
        prepared = create_workspace(context, actor, prepared)
        record, note = reserve(context, actor, prepared, snapshot, driver)
        record, warnings = create_reserved(context, actor, prepared, record)
        yield Created(record, warnings, note)


def reserve(
    context: Context, actor: Actor, prepared: Prepared, snapshot: Snapshot, driver: DriverInfo
) -> tuple[Record, str | None]:
    """Choose the slots and write the lease, before the engine is called. Returns the record and the choice's note."""
    with context.ledger.transaction() as ledger:
        update_names(ledger, snapshot.gpus, now=context.clock())
        check_name(prepared, snapshot, ledger.records)
        choice = decide(context, prepared, snapshot, driver, ledger.records)
        if isinstance(choice, Choice):
            published = choose_ports(context, prepared, ledger.records)
            record = new_record(context, actor, prepared, choice, published)
            return ledger.commit(record, now=context.clock()), choice.note
    raise error_of(choice)


def choose_ports(
    context: Context, prepared: Prepared, entries: Entries, *, kept_ports: Collection[int] = ()
) -> tuple[PublishedPort, ...]:
    """Return the ports that the container publishes. `kept_ports`: those that it has now and may keep."""
    policy = context.rules.policy
    taken = {
        port.host_port
        for record in readable(entries)
        if record.container_name != prepared.container_name
        for port in record.ports
        if port.host_port is not None
    }
    return ports.choose(
        ports.wanted(prepared.request, policy.network.value, policy.ports),
        prepared.container_name,
        taken=taken,
        is_free=lambda number: number in kept_ports or context.port_is_free(number),
    )


def new_record(
    context: Context, actor: Actor, prepared: Prepared, choice: Choice, published: tuple[PublishedPort, ...] = ()
) -> Record:
    """Return the record of a container that is about to be created."""
    now = context.clock()
    request, owner = prepared.request, prepared.owner
    refs = tuple(slot.ref for slot in choice.slots)
    return Record(
        id=secrets.token_hex(16),
        installation=context.ledger.installation,
        container_name=prepared.container_name,
        name=request.name,
        project=request.project or request.name,
        user=owner.login,
        uid=owner.uid,
        gid=owner.gid,
        group=prepared.limits.group,
        state=State.CREATED,
        image=request.image,
        own_tag=own_tag(request.image, prepared.container_name, owner.uid),
        created_at=now,
        request=request,
        pending=Pending(Trigger.CREATE, now, actor.login),
        lease=Lease(refs, now) if refs else None,
        gpu_id=",".join(ref.slot for ref in refs) or None,
        gpus_fixed=refs,
        ports=published,
        resource_limits=prepared.limits.limits,
        workspace=request.workspace,
    )


def create_reserved(
    context: Context, actor: Actor, prepared: Prepared, record: Record
) -> tuple[Record, tuple[str, ...]]:
    """Create the container of a record that has its lease; undo everything on failure."""
    try:
        identity, warnings = create_in_engine(context, prepared, record)
        with context.ledger.transaction() as ledger:
            created = apply_transition(
                record, Trigger.CREATE, actor=actor.login, at=context.clock(), docker_id=identity
            )
            created = ledger.commit(created, now=context.clock())
    except BaseException as error:
        _undo(context, actor, record, error)
        raise
    return created, warnings


def create_in_engine(
    context: Context, prepared: Prepared, record: Record, *, name: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """Create and check the container of a record. Return its id and warnings.

    `name`: its name in Docker for now. Raises Ds01Error, without removing what it created.
    """
    engine = context.engine
    assert record.own_tag is not None
    assert prepared.image is not None
    engine.tag(record.image, record.own_tag)
    groups = owner_groups(prepared)
    spec = spec_of(context, prepared, record, groups)
    spec = spec if name is None else dataclasses.replace(spec, name=name)
    created = engine.create(spec)
    container = engine.inspect(created.id)
    if container is None:
        raise EngineNotFound(f"the container {record.name} vanished while it was being created")
    wrong, weak = differences(spec, container)
    _require_none(wrong)
    known_images = context.ledger.known_images()
    facts, are_new = facts_of(engine, known_images, container, prepared.image)
    if facts.shell is None:
        raise no_shell_error(record.image)
    root_inside = prepared.limits.limits.root_inside
    insider = Insider(record.user, record.uid, record.gid, record.name, groups, root_inside)
    engine.put_archive(created.id, "/", archive(insider, facts))
    if are_new:
        remember(known_images, container, prepared.image, facts)
    replaced = [folder.path for folder in prepared.folders if not folder.is_still_there(prepared.owner)]
    _require_none([f"the directory {path} was replaced" for path in replaced])
    closed = root_only.warning(record.image, record.uid, facts.closed)
    warnings = dict.fromkeys((*created.warnings, *weak, *([] if closed is None else [closed])))
    return created.id, tuple(warnings)


def _require_none(wrong: list[str]) -> None:
    """Raise EngineRejected if something about the new container is wrong."""
    if wrong:
        raise EngineRejected("Docker created something else than ds01 requested", why="; ".join(wrong))


def owner_groups(prepared: Prepared) -> tuple[HostGroup, ...]:
    """Return the owner's groups that own mounted directories. Searches these directories for up to a second."""
    return groups_of_directories(prepared.owner, [folder.path for folder in prepared.folders])


def spec_of(context: Context, prepared: Prepared, record: Record, groups: tuple[HostGroup, ...] = ()) -> ContainerSpec:
    """Return the complete specification of a record's container."""
    assert prepared.image is not None
    facts = context.observer.engine_facts()
    names = (record.group, record.user, record.uid)
    return compose(
        prepared.request,
        prepared.owner,
        prepared.limits,
        Placement(record.lease, cgroup_parent(facts, *names), slice_name(*names), context.inject_devices),
        prepared.image,
        Host(record.installation, context.rules.policy.network.value, facts.memory_bytes),
        Identity(record.id, record.container_name, record.own_tag or record.image, record.created_at),
        groups,
        record.ports,
    )


def _undo(context: Context, actor: Actor, record: Record, error: BaseException) -> None:
    """Undo a create. If the engine does not answer, the record stays pending and the next command tries again."""
    why = error.message if isinstance(error, Ds01Error) else type(error).__name__
    try:
        container = context.engine.inspect(record.container_name)
        if container is not None and container.labels.get("ds01.id") == record.id:
            context.engine.remove(container.id)
        if record.own_tag is not None:
            context.engine.untag(record.own_tag)
        with context.ledger.transaction() as ledger:
            gone = apply_transition(
                record, Trigger.VANISH, actor=actor.login, at=context.clock(), why=f"create failed: {why}"
            )
            ledger.commit(gone, now=context.clock())
    except Ds01Error as second:
        facts = {"actor": actor.login, "container": record.container_name, "user": record.user}
        context.emit("repair", facts | {"why": f"left for later: {second.message}"})
        return
