"""Create: check, lease, make, read back, write. Whatever fails in between undoes what was made."""

from __future__ import annotations

import dataclasses
import io
import secrets
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from ds01.engines.protocol import ContainerSpec, EngineContainer, EngineFacts, EngineImage, Port
from ds01.errors import (
    Busy,
    Ds01Error,
    EngineAbsent,
    EngineRejected,
    EngineUnreachable,
    NotPossible,
    Refused,
)
from ds01.gpus.model import Choice, Lease, Refusal
from ds01.gpus.model import Observation as Gpus
from ds01.gpus.requirements import NOTHING_KNOWN, DriverFacts, requirements_of, unmet
from ds01.lifecycle.context.allocation import allocation_input, outside_containers
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.slot_names import bring_names
from ds01.lifecycle.context.wait_queue import earlier_than, in_line, waiters
from ds01.lifecycle.name_taken import name_taken
from ds01.lifecycle.prepare import Prepared, prepare
from ds01.lifecycle.reconciliation.reconcile import reconcile
from ds01.lifecycle.refusals import error_of
from ds01.lifecycle.spec import ports, root_only
from ds01.lifecycle.spec.account import Insider, archive
from ds01.lifecycle.spec.aime import is_marked, own_tag
from ds01.lifecycle.spec.compose import Host, Identity, Placement, compose, docker_arguments
from ds01.lifecycle.spec.readback import differences
from ds01.placement.allocator import Ahead, behind, check_containers, choose
from ds01.placement.situation import Requester
from ds01.policy.model import Limits
from ds01.policy.names import container_name, slice_name, slice_path
from ds01.policy.units import readable_sizes
from ds01.records.entries import Entries, is_manual, readable
from ds01.records.ledger import Unreadable
from ds01.records.machine import State, Trigger
from ds01.records.record import Pending, Record, move
from ds01.records.request import ContainerRequest
from ds01.system.owner_groups import HostGroup, groups_of_directories
from ds01.system.users import Account, Actor

NO_GPUS = Gpus((), (), "none")


@dataclass(frozen=True)
class Found:
    """What was seen before the ledger's lock is taken: GPUs, and the containers that no record explains."""

    gpus: Gpus
    foreign: list[EngineContainer]
    listed: list[EngineContainer]
    driver: DriverFacts = NOTHING_KNOWN
    ahead: tuple[Ahead, ...] = ()  # of the waiting line


def look(context: Context, prepared: Prepared, *, locked: bool, waiting_as: str | None = None) -> Found:
    """Reconcile whatever stands in the way of a choice, and observe what it depends on.

    `locked`: the container's lock is held here. Without it, one that is being made is nobody's to judge.
    `waiting_as`: the id in the waiting line; who does not wait stands behind it.
    """
    listed = context.observer.containers()
    if reconcile(context, listed, locked=(prepared.container_name,) if locked else ()):
        listed = context.engine.containers()
    wants_gpus = prepared.request.gpus.count != 0
    gpus = context.observer.gpus() if wants_gpus else NO_GPUS
    image = prepared.image.environment if prepared.image is not None else {}
    driver = context.inventory.driver_facts() if gpus.gpus and requirements_of(image) else NOTHING_KNOWN
    entries = context.ledger.read()
    context.rules.prefetch(entries)
    earlier = earlier_than(waiters(context), waiting_as)
    return Found(gpus, outside_containers(context, entries, listed), listed, driver, in_line(context, earlier, entries))


def decide(context: Context, prepared: Prepared, found: Found, entries: Entries) -> Choice | Refusal:
    """The slots for a new container, or why not."""
    own = [record for record in readable(entries) if record.uid == prepared.owner.uid and not is_manual(record)]
    others = [record for record in own if record.container_name != prepared.container_name]
    refusal = check_containers(prepared.limits.limits.max_containers_per_user, len(others))
    if refusal is not None:
        return refusal
    who = Requester(prepared.owner.login, prepared.owner.uid, prepared.limits.group, prepared.container_name)
    situation = behind(allocation_input(context, entries, found.gpus, found.foreign), found.ahead)
    choice = choose(situation, prepared.request.gpus, who, prepared.limits.limits)
    if isinstance(choice, Choice):
        check_driver(prepared, found, {slot.gpu for slot in choice.slots})
    elif choice.temporary:  # nobody should wait for hours for what cannot be
        check_driver(prepared, found, {gpu.index for gpu in found.gpus.gpus}, any_will_do=True)
    return choice


def check_driver(prepared: Prepared, found: Found, gpus: set[int], *, any_will_do: bool = False) -> None:
    """Raises NotPossible if the image needs a newer driver than the one of these GPUs; `any_will_do`: of all of them.

    NVIDIA's runtime would refuse the start, when the lease is taken and the container made.
    """
    driver = found.driver
    for requirement in requirements_of(prepared.image.environment) if prepared.image is not None else ():
        failing = [unmet(requirement, driver, driver.of_gpu(gpu)) for gpu in gpus]
        if not failing or not (all(failing) if any_will_do else any(failing)):
            continue
        needs = f"CUDA {requirement.oldest_cuda} or newer" if requirement.oldest_cuda else requirement.text
        raise NotPossible(
            f"the image {prepared.request.image} needs {needs}, and this server's driver has CUDA {driver.cuda or '?'}",
            why=f"the image says {requirement.variable}={requirement.text}; the driver is {driver.driver}",
            hint=f"choose an image for CUDA {driver.cuda or '?'} or older, or ask an administrator for a newer driver; "
            "--cpu-only needs none",
        )


def check_name(prepared: Prepared, found: Found, entries: Entries) -> None:
    """Raises NotPossible if the name is taken."""
    entry = entries.get(prepared.container_name)
    name = prepared.request.name
    if isinstance(entry, Record):
        raise name_taken(entry)
    if isinstance(entry, Unreadable):
        raise Busy(f"the record of {name} is unreadable and being looked at", why=entry.why)
    there = [container for container in found.listed if container.name == prepared.container_name]
    if there:
        full = prepared.container_name
        remedy = f"take it over: container-adopt {name}" if is_marked(there[0]) else f"remove it: docker rm {full}"
        raise NotPossible(
            f"Docker has a container {full} that ds01 did not make", hint=f"choose another name, or {remedy}"
        )


def create(
    context: Context, actor: Actor, request: ContainerRequest, *, waiting_as: str | None = None
) -> tuple[Record, tuple[str, ...]]:
    """Make a container with its lease; it does not run yet. The record and warnings. Raises Ds01Error."""
    context.rules.refresh()
    prepared = prepare(context, actor, request)
    doing = f"being created by {actor.login}"
    with context.ledger.container_lock(prepared.container_name, doing=doing):
        found = look(context, prepared, locked=True, waiting_as=waiting_as)
        record = reserve(context, actor, prepared, found)
        return make(context, actor, prepared, record)


def reserve(context: Context, actor: Actor, prepared: Prepared, found: Found) -> Record:
    """Choose and write the lease, before the engine is called."""
    with context.ledger.transaction() as ledger:
        bring_names(ledger, found.gpus, now=context.clock())
        check_name(prepared, found, ledger.records)
        choice = decide(context, prepared, found, ledger.records)
        if isinstance(choice, Choice):
            published = choose_ports(context, prepared, ledger.records)
            return ledger.commit(new_record(context, actor, prepared, choice, published), now=context.clock())
    raise error_of(choice)


def choose_ports(
    context: Context, prepared: Prepared, entries: Entries, *, own: Collection[int] = ()
) -> tuple[Port, ...]:
    """Return the ports that the container publishes. `own`: ports that it has now, and may keep."""
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
        is_free=lambda number: number in own or context.port_is_free(number),
    )


def new_record(
    context: Context, actor: Actor, prepared: Prepared, choice: Choice, published: tuple[Port, ...] = ()
) -> Record:
    """Return the record of a container that is about to be made."""
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


def make(context: Context, actor: Actor, prepared: Prepared, record: Record) -> tuple[Record, tuple[str, ...]]:
    """Make the container of a record that has its lease; undo everything if that fails."""
    try:
        identity, warnings = make_container(context, prepared, record)
        with context.ledger.transaction() as ledger:
            made = move(record, Trigger.CREATE, actor=actor.login, at=context.clock(), docker_id=identity)
            made = ledger.commit(made, now=context.clock())
    except BaseException as error:
        _give_up(context, actor, record, error)
        raise
    return made, warnings


def make_container(
    context: Context, prepared: Prepared, record: Record, *, name: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """Make the container of a record whole: its id, and warnings. `name`: what Docker shall call it meanwhile.

    Raises Ds01Error, and then leaves what it has made.
    """
    engine = context.engine
    assert record.own_tag is not None
    assert prepared.image is not None
    engine.tag(record.image, record.own_tag)
    groups = owner_groups(prepared)
    spec = spec_of(context, prepared, record, groups)
    spec = spec if name is None else dataclasses.replace(spec, name=name)
    created = engine.create(spec)
    if engine.get(created.id, "/bin/sh") is None:
        raise Refused(
            f"the image {record.image} has no shell",
            why="it has no /bin/sh, and a container of ds01 is something one works in",
            hint="build an image on top of it that has one",
        )
    root_inside = prepared.limits.limits.root_inside
    insider = Insider(record.user, record.uid, record.gid, record.name, groups, root_inside)
    engine.put(created.id, "/", archive(insider, partial(_read_inside, context, created.id)))
    seen = engine.inspect(created.id)
    if seen is None:
        raise EngineAbsent(f"the container {record.name} vanished while it was made")
    wrong, weak = differences(spec, seen)
    wrong += [
        f"the folder {folder.path} was swapped"
        for folder in prepared.folders
        if not folder.is_still_there(prepared.owner)
    ]
    if wrong:
        raise EngineRejected("what Docker made is not what was asked for", why="; ".join(wrong))
    warnings = dict.fromkeys((*created.warnings, *weak, *_about_the_image(context, prepared, created.id)))
    return created.id, tuple(warnings)


def owner_groups(prepared: Prepared) -> tuple[HostGroup, ...]:
    """Return the owner's groups that own mounted directories. Walks these directories for up to a second."""
    return groups_of_directories(prepared.owner, [folder.path for folder in prepared.folders])


def _about_the_image(context: Context, prepared: Prepared, identity: str) -> tuple[str, ...]:
    """What does not work for the owner in a container of this image."""
    assert prepared.image is not None
    request = prepared.request
    try:
        found = root_only.warning(
            request.image, request.owner, prepared.image.environment, partial(context.engine.stat, identity)
        )
    except EngineRejected:  # a container without a warning is better than none
        return ()
    return () if found is None else (found,)


def spec_of(
    context: Context, prepared: Prepared, record: Record, groups: tuple[HostGroup, ...] = (), *, bare: bool = False
) -> ContainerSpec:
    """Return the complete container of a record. `bare`: only for its limits, for which no engine need answer."""
    assert prepared.image is not None
    facts = _facts(context) if bare else context.observer.engine_facts()
    names = (record.group, record.user, record.uid)
    parent = slice_path(*names) if facts.cgroup_driver == "cgroupfs" else slice_name(*names)
    return compose(
        prepared.request,
        prepared.owner,
        prepared.limits,
        Placement(record.lease, parent, slice_name(*names), context.inject_devices),
        prepared.image,
        Host(record.installation, context.rules.policy.network.value, facts.memory_bytes),
        Identity(record.id, record.container_name, record.own_tag or record.image, record.created_at),
        groups,
        record.ports,
    )


def as_flags(context: Context, account: Account, limits: Limits) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """An account's limits as Docker's flags, and what of them this server cannot give."""
    facts = _facts(context)
    warnings = []
    if limits.max_cpus is not None and 0 < facts.cpus < limits.max_cpus:
        warnings.append(f"max_cpus is {limits.max_cpus:g}, this server has {facts.cpus}")
    if limits.memory is not None and 0 < facts.memory_bytes < limits.memory:
        wanted, there = readable_sizes(limits.memory, facts.memory_bytes)
        warnings.append(f"memory is {wanted}, this server has {there}")
    return tuple(docker_arguments(bare_spec(context, account))), tuple(warnings)


def bare_spec(context: Context, account: Account) -> ContainerSpec:
    """What any container of an account would get, image and devices aside: for its limits as flags."""
    request = ContainerRequest(account.uid, "any", "any")
    limits = context.rules.limits(account)
    nothing = EngineImage("", (), {}, {})
    prepared = Prepared(request, account, limits, nothing, (), container_name("any", account.uid))
    actor = Actor(account.uid, account.gid, account.login)
    return spec_of(context, prepared, new_record(context, actor, prepared, Choice(())), bare=True)


def _facts(context: Context) -> EngineFacts:
    """Return what the engine is; of one that does not answer, what is usual: limits are the policy's alone."""
    try:
        return context.observer.engine_facts()
    except EngineUnreachable:
        return EngineFacts("", "docker", "", "systemd", "2", False, "runc", (), 0, 0)


def _read_inside(context: Context, identity: str, path: str) -> bytes | None:
    content = context.engine.get(identity, path)
    if content is None:
        return None
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for entry in tar:
            file = tar.extractfile(entry) if entry.isreg() else None
            return file.read() if file is not None else b""
    return b""


def _give_up(context: Context, actor: Actor, record: Record, error: BaseException) -> None:
    """Undo a create. If the engine cannot be asked, the record stays pending and the next command looks again."""
    why = error.message if isinstance(error, Ds01Error) else type(error).__name__
    try:
        seen = context.engine.inspect(record.container_name)
        if seen is not None and seen.labels.get("ds01.id") == record.id:
            context.engine.remove(seen.id)
        if record.own_tag is not None:
            context.engine.untag(record.own_tag)
        with context.ledger.transaction() as ledger:
            gone = move(record, Trigger.VANISH, actor=actor.login, at=context.clock(), why=f"create failed: {why}")
            ledger.commit(gone, now=context.clock())
    except Ds01Error as second:
        facts = {"actor": actor.login, "container": record.container_name, "user": record.user}
        context.emit("repair", facts | {"why": f"left for later: {second.message}"})
        return
