"""Run `ds01 policy check`: check a policy against this server and the policy in force."""

from __future__ import annotations

from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, GpusUnreachable
from ds01.gate.installation import Installation
from ds01.host.people import DOCKER_GROUP, collect_people, find_unix_group
from ds01.host.policy_comparison import PolicyComparison, compare_policies
from ds01.host.policy_names import NameFinding, check_names, needs_gpus
from ds01.policy.model import Policy
from ds01.policy.reading.load import load, load_current
from ds01.records.entries import readable


@dataclass(frozen=True)
class PolicyCheck:
    """A valid policy. `names`: names that this server lacks or spells differently.

    `gpus_problem`: why the slots of reservations could not be checked. `comparison`: with the policy in force.
    """

    policy: Policy
    names: tuple[NameFinding, ...]
    gpus_problem: Ds01Error | None
    comparison: PolicyComparison | None


def check_policy(installation: Installation, file: Path | None, *, compare: bool) -> PolicyCheck:
    """Check a policy, by default the one in force. Raises PolicyUnreadable with all of its errors."""
    settings = installation.settings
    if file is None:
        policy = load_current(settings.config, settings.last_good_policy, installation.now())
    else:  # a draft in another directory uses the same members' files
        policy = load(file, members=settings.config.parent / "groups")
    names, problem = _check_names(installation, policy)
    return PolicyCheck(policy, names, problem, _compare(installation, policy) if compare else None)


def _check_names(installation: Installation, policy: Policy) -> tuple[tuple[NameFinding, ...], Ds01Error | None]:
    now, slots, problem = installation.now(), None, None
    if needs_gpus(policy, now):
        try:
            slots = installation.inventory.observe().slots
        except GpusUnreachable as error:
            problem = error
    logins = _docker_members(installation)
    return check_names(policy, installation.users, now, slots=slots, logins=logins), problem


def _compare(installation: Installation, policy: Policy) -> PolicyComparison:
    """Compare the policies for everybody in one of them, owners of containers, and members of the group docker."""
    records, current = readable(installation.ledger.read()), installation.policy
    members = _docker_members(installation)
    people = collect_people(current, policy, records=records, users=installation.users, also=members)
    return compare_policies(current, policy, people, records, installation.now())


def _docker_members(installation: Installation) -> frozenset[str]:
    docker = None if installation.settings.sandbox else find_unix_group(DOCKER_GROUP)
    return docker.members if docker is not None else frozenset()
