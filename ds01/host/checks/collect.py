"""Collect the facts for doctor. What cannot be observed stays unknown, with its problem. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from ds01.dataclass import dataclass
from ds01.engines.protocol import Engine, EngineInfo
from ds01.errors import Ds01Error, EngineRejected
from ds01.gpus.inventory import GpuInventory
from ds01.host import layout, machine_facts, slice_limits
from ds01.host.checks.facts import DOCKER_DATA, BrokenContainer, DoctorFacts, GpuStateFile, StoppedContainer
from ds01.host.checks.state import differing_containers, disk_level
from ds01.host.machine_facts import SystemRoots
from ds01.host.people import DOCKER_GROUP, collect_people, find_unix_group
from ds01.host.policy_names import NameFinding, check_names
from ds01.lifecycle.context.allocation import allocation_input, outside_containers
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.gpu_processes import has_hidden_processes, with_kept_names
from ds01.lifecycle.context.owners import Owners
from ds01.lifecycle.context.ownership import is_ours
from ds01.observe.server.outside import outside_views
from ds01.observe.server.process_owners import process_owner
from ds01.policy.model import Policy
from ds01.records.entries import Entries
from ds01.records.ledger import Ledger, UnreadableRecord
from ds01.records.record import Record
from ds01.system.disks import Disk, read_disks
from ds01.system.settings import Settings
from ds01.system.users import Users

T = TypeVar("T")
GPU_STATE = "gpu-state.json"


@dataclass(frozen=True)
class FactSources:
    """Where the facts come from; each callable may raise Ds01Error. `context` needs policy and ledger."""

    settings: Settings
    users: Users
    now: datetime
    policy: Callable[[], Policy]
    ledger: Callable[[], Ledger]
    inventory: Callable[[], GpuInventory]
    engine: Callable[[], EngineInfo]
    context: Callable[[], Context]
    roots: SystemRoots = field(default_factory=SystemRoots)


def collect_facts(sources: FactSources) -> DoctorFacts:
    """Return all facts that doctor checks, as of now."""
    settings, roots = sources.settings, sources.roots
    facts = DoctorFacts(now=sources.now, sandbox=settings.sandbox, state=str(settings.state))
    group = find_unix_group(DOCKER_GROUP)
    if group is not None:  # its members may be spelled in any way that the user database accepts
        group = replace(group, members=frozenset(map(sources.users.canonical_login, group.members)))
    policy, policy_problem = _value_or_error(sources.policy)
    facts = replace(
        facts,
        policy=policy,
        policy_problem=policy_problem,
        kernel=machine_facts.read_kernel(roots),
        tick=machine_facts.read_last_tick(settings.state / "tick.json"),
        docker_group=group,
        nvidia_hook=machine_facts.has_nvidia_hook(),
        cdi=machine_facts.cdi_devices(),
    )
    if not settings.sandbox:
        file_entries = tuple(layout.file_entries(settings.state, settings.log, group.gid if group else None))
        program, links = machine_facts.program_and_links()
        facts = replace(facts, entries=file_entries, cron=machine_facts.read_cron(roots), program=program, links=links)
    ledger, ledger_problem = _value_or_error(sources.ledger)
    facts = replace(facts, ledger_problem=ledger_problem, unwritable=machine_facts.why_unwritable(settings.state))
    if ledger is not None:
        facts = _with_records(facts, ledger)
    if policy is not None:
        owners = Owners(policy, sources.users, facts.memory)
        facts = replace(
            facts,
            people=collect_people(policy, records=facts.records, users=sources.users),
            doubts=tuple(describe_user_database_doubts(owners, facts.records, facts.now)),
        )
    observation, gpus_problem = _value_or_error(lambda: sources.inventory().observe())
    if observation is not None and ledger is not None and has_hidden_processes(observation):
        observation = with_kept_names(observation, ledger.gpu_processes(), sources.now)
    facts = replace(facts, observation=observation, gpus_problem=gpus_problem)
    if policy is not None:
        facts = replace(facts, names=_find_wrong_names(facts, policy, sources.users))
    engine, engine_problem = _value_or_error(sources.engine)
    facts = replace(facts, engine=engine, engine_problem=engine_problem, disks=_disks(settings, engine, roots))
    context, _ = _value_or_error(sources.context)
    if context is not None and engine is not None:
        facts = _with_containers(facts, context)
    return _with_slices(facts, sources.users)


def _find_wrong_names(facts: DoctorFacts, policy: Policy, users: Users) -> tuple[NameFinding, ...]:
    slots = facts.observation.slots if facts.observation is not None else None
    logins = {account.login for account in facts.people.accounts}
    if facts.docker_group is not None:
        logins |= facts.docker_group.members
    return check_names(policy, users, facts.now, slots=slots, logins=logins)


def _disks(settings: Settings, engine: EngineInfo | None, roots: SystemRoots) -> tuple[Disk, ...] | None:
    """Return the disks of the state, the log, and the engine's data."""
    folders = {settings.state: "ds01's state", settings.log: "ds01's log"}
    if engine is None:
        folders[roots.docker] = DOCKER_DATA
    elif engine.root_dir is not None:
        folders[Path(engine.root_dir)] = DOCKER_DATA
    return read_disks(folders) or None


def _with_records(facts: DoctorFacts, ledger: Ledger) -> DoctorFacts:
    entries, problem = _value_or_error(ledger.read)
    gpu_state = machine_facts.read_gpu_state(ledger.state / GPU_STATE)
    if entries is not None and differing_containers(*_split_entries(entries), gpu_state):
        # Perhaps a command was between the two writes: read both again under the lock, if it can be taken.
        consistent, _ = _value_or_error(partial(_read_consistently, ledger))
        entries, gpu_state = consistent or (entries, gpu_state)
    records, unreadable = _split_entries(entries or {})
    return replace(
        facts,
        ledger_problem=facts.ledger_problem or problem,
        records=records,
        memory=ledger.tick_memory(),
        unreadable=unreadable,
        busy=frozenset(
            name for name in entries or {} if not _value_or_error(partial(ledger.container_lock_is_free, name))[0]
        ),
        gpu_state=gpu_state,
    )


def _read_consistently(ledger: Ledger) -> tuple[Entries, GpuStateFile]:
    """Return the records and gpu-state.json, read under the ledger's lock. Raises Ds01Error."""
    with ledger.transaction() as transaction:
        return transaction.records, machine_facts.read_gpu_state(ledger.state / GPU_STATE)


def _split_entries(entries: Entries) -> tuple[tuple[Record, ...], tuple[UnreadableRecord, ...]]:
    """Return the records, and the unreadable ones."""
    values = entries.values()
    records = tuple(entry for entry in values if isinstance(entry, Record))
    return records, tuple(entry for entry in values if isinstance(entry, UnreadableRecord))


def _with_containers(facts: DoctorFacts, context: Context) -> DoctorFacts:
    listed, problem = _value_or_error(context.observer.containers)
    if listed is None:  # it answers, but is not the same Docker as last time: its containers prove nothing
        return replace(facts, engine=None, engine_problem=problem)
    facts = replace(
        facts,
        containers=tuple(listed),
        ours=frozenset(container.id for container in listed if is_ours(context, container)),
    )
    facts = replace(facts, broken=tuple(_find_broken(facts, context.engine)))
    if any(DOCKER_DATA in disk.holds and disk_level(disk) is not None for disk in facts.disks or ()):
        facts = replace(facts, stopped=tuple(_stopped_with_sizes(facts, context.engine)))
    if facts.observation is None:
        return facts
    entries = {record.container_name: record for record in facts.records}
    observation = facts.observation
    situation, problem = _value_or_error(
        lambda: allocation_input(context, entries, observation, outside_containers(context, entries, listed))
    )
    if situation is None:
        return replace(facts, engine_problem=problem)
    uses = outside_views(situation, partial(process_owner, users=context.users))
    return replace(facts, blockers=situation.occupancy, outside=uses)


def _find_broken(facts: DoctorFacts, engine: Engine) -> Iterator[BrokenContainer]:
    """Yield the containers that cannot be inspected: ours, and running ones of others."""
    our_ids = facts.ours | {record.docker_id for record in facts.records}
    for container in facts.containers or ():
        if container.id in our_ids or container.status.has_processes:
            _, problem = _value_or_error(partial(engine.inspect, container.id))
            if isinstance(problem, EngineRejected):
                why = problem.why or problem.message
                yield BrokenContainer(
                    container.name or container.id, container.id in our_ids, container.status.has_processes, why
                )


def _stopped_with_sizes(facts: DoctorFacts, engine: Engine) -> Iterator[StoppedContainer]:
    """Yield our stopped containers with their sizes, one call each: Docker's list would compute all sizes."""
    for container in facts.containers or ():
        if container.id not in facts.ours or container.status.has_processes:
            continue
        inspected, _ = _value_or_error(partial(engine.inspect, container.id, size=True))
        if inspected is not None and inspected.size_bytes is not None:
            yield StoppedContainer(container.name, container.labels["ds01.user"], inspected.size_bytes)


def describe_user_database_doubts(owners: Owners, records: Sequence[Record], now: datetime) -> Iterator[str]:
    """Yield what the user database does not answer, and the containers that this concerns."""
    for name in sorted(owners.silent_groups()):
        yield f"the user database no longer has the Unix group {name}"
    concerned: dict[str, list[str]] = {}
    for record in records:
        if (why := owners.doubt(record, now)) is not None:
            concerned.setdefault(why, []).append(record.container_name)
    for why, containers in concerned.items():
        yield f"{', '.join(containers)}: {why}"


def _with_slices(facts: DoctorFacts, users: Users) -> DoctorFacts:
    if facts.sandbox or facts.docker is None or facts.policy is None:
        return facts
    policy, driver = facts.policy, facts.docker.cgroup_driver
    changes, problem = _value_or_error(
        lambda: slice_limits.plan_changes(policy, facts.records, users, facts.now, driver=driver, memory=facts.memory)
    )
    return replace(facts, slices=tuple(changes or ()), slices_problem=problem)


def _value_or_error(function: Callable[[], T]) -> tuple[T | None, Ds01Error | None]:
    try:
        return function(), None
    except Ds01Error as error:
        return None, error
