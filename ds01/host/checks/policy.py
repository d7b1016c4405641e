"""Check the policy, also against this machine and its users. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ds01.host.checks.facts import DoctorFacts
from ds01.host.checks.findings import Finding, error, join_few, warning
from ds01.host.policy_names import NameKind
from ds01.policy.model import Limits, Policy
from ds01.policy.resolve import group_limits, is_in_force, merge_levels, resolve
from ds01.policy.units import format_number, readable_size, readable_sizes
from ds01.system.users import Account


def policy(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that the policy can be read."""
    problem = facts.policy_problem
    if problem is not None:
        yield error("policy", problem.message, problem.why, problem.hint)


def old_keys(facts: DoctorFacts) -> Iterator[Finding]:
    """Find keys of older installations, which are still read."""
    for old in facts.policy.old_keys if facts.policy else ():
        yield warning(
            "policy-old-keys",
            f"{old.file}:{old.line}: {old.key} is a key of older installations",
            "a later version may no longer read it",
            f"write `{old.instead}` instead",
        )


def emptied_members(facts: DoctorFacts) -> Iterator[Finding]:
    """Find files of members that were emptied, perhaps by a directory service that did not answer."""
    for kept in facts.policy.last_good_members if facts.policy else ():
        yield warning(
            "policy-members",
            str(kept),
            f"after that, all members of {kept.group} fall into the groups after it, or into the default group",
            f"write the logins into {kept.file} again, or delete it if the group has no members",
        )


def beyond_the_host(facts: DoctorFacts) -> Iterator[Finding]:
    """Find limits that exceed this machine."""
    if facts.policy is None or facts.engine is None:
        return
    cpus, memory = facts.engine.cpus, facts.engine.memory_bytes
    for name, limits in _limits_by_level(facts):
        problems = []
        if cpus and limits.max_cpus is not None and limits.max_cpus > cpus:
            problems.append(f"max_cpus is {format_number(limits.max_cpus)}, but the server has {cpus}")
        if memory and limits.memory is not None and limits.memory > memory:
            limit, installed = readable_sizes(limits.memory, memory)
            problems.append(f"memory is {limit}, but the server has {installed}")
        if problems:
            yield warning(
                "policy-limits",
                f"{name}: {'; '.join(problems)}",
                "one container may use up the whole server, and stop everybody else's work",
                f"lower it in {facts.policy.path}",
            )


def cpus_of_slices(facts: DoctorFacts) -> Iterator[Finding]:
    """Find CPU limits above the enclosing slice's limit; only cgroup v1 rejects them."""
    if facts.policy is None or facts.engine is None or facts.engine.cgroup_version != "1":
        return
    for name in facts.policy.groups:
        limits = group_limits(facts.policy, name)
        for inner, what, outer, where in (
            (limits.max_cpus, "max_cpus", limits.aggregate.max_cpus, "the slice of a user"),
            (limits.aggregate.max_cpus, "aggregate.max_cpus", limits.group_total.max_cpus, "the slice of the group"),
        ):
            if inner is not None and outer is not None and inner > outer:
                yield warning(
                    "policy-cpus",
                    f"{name}: {what} is {format_number(inner)}, but {where} has {format_number(outer)}",
                    "cgroup version 1 refuses more CPUs than in the enclosing slice: the smaller number applies",
                    f"lower it in {facts.policy.path}",
                )


def swap(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that memory limits also limit swap on this kernel."""
    if facts.policy is None or facts.kernel.limits_swap or not facts.kernel.swap_bytes:
        return
    if any(limits.memory is not None for _, limits in _limits_by_level(facts)):
        yield warning(
            "policy-swap",
            "this kernel cannot limit swap",
            f"a container over its memory limit also uses the server's swap ({readable_size(facts.kernel.swap_bytes)})",
            "boot with swapaccount=1 or with cgroup v2, or turn swap off",
        )


def names(facts: DoctorFacts) -> Iterator[Finding]:
    """Find logins, Unix groups and slots of the policy that this server lacks, or spells differently."""
    if facts.sandbox or facts.policy is None:
        return
    hint = f"correct or remove it in {facts.policy.path}"
    checks = {
        NameKind.LOGIN: ("people-unknown", "the intended user has the limits of the default group, and no reservation"),
        NameKind.UNIX_GROUP: ("groups-unknown", "the intended users have the limits of the default group"),
        NameKind.SLOT: ("slots-unknown", "the intended user has no GPU reserved"),
    }
    for kind, (check, why) in checks.items():
        missing = [item for item in facts.names if item.kind is kind and not item.known]
        if missing:
            yield warning(check, join_few([str(item) for item in missing]), why, hint)
    respelled = [item for item in facts.names if item.known]
    if respelled:
        yield warning(
            "policy-spelling",
            join_few([str(item) for item in respelled]),
            "every command has to look up this spelling in the user database",
            f"write the server's spelling in {facts.policy.path}",
        )


def people(facts: DoctorFacts) -> Iterator[Finding]:
    """Compare the group docker with the policy, in both directions."""
    if facts.sandbox or facts.policy is None or facts.docker_group is None:
        return
    members = facts.docker_group.members - {"root"}
    named = {account.login for account in facts.people.accounts if _is_named(facts.policy, account)}
    if facts.policy.default_group is None and (lost := sorted(members - named)):
        yield warning(
            "people-without-place",
            f"{join_few(lost)} may use Docker, but {'is' if len(lost) == 1 else 'are'} in no group of the policy",
            "users in no group have the limits of `defaults`",
            f"put them into a group in {facts.policy.path}, or name a default_group",
        )
    if outside := sorted(named - members - {"root"}):
        yield warning(
            "people-without-docker",
            f"{join_few(outside)} {'is' if len(outside) == 1 else 'are'} in the policy, but not in the group docker",
            "without that group nobody can use ds01",
            f"sudo ds01 user add {outside[0]}",
        )


def _limits_by_level(facts: DoctorFacts) -> Iterator[tuple[str, Limits]]:
    """Yield the limits of the defaults, of every group, and of every override in force."""
    assert facts.policy is not None
    rules = facts.policy
    yield "defaults", merge_levels([("defaults", rules.defaults)])[0]
    for group in rules.groups.values():
        if {"max_cpus", "memory"} & set(group.values):
            yield f"groups.{group.name}", group_limits(rules, group.name)
    owners = {name: account for account in facts.people.accounts for name in (account.login, *account.spellings)}
    for override in rules.user_overrides.values():
        if is_in_force(override.until, facts.now) and {"max_cpus", "memory"} & set(override.values):
            account = owners.get(override.user)
            login, groups, spellings = (
                (override.user, (), frozenset[str]())
                if account is None
                else (account.login, account.groups, account.spellings)
            )
            resolved = resolve(rules, login, groups, facts.now, spellings=spellings)
            yield f"user_overrides.{override.user}", resolved.limits


def _is_named(rules: Policy, account: Account) -> bool:
    """Return whether a group or an override names the account."""
    names = {account.login, *account.spellings}
    groups = rules.groups.values()
    listed = any(names & group.members or set(account.groups) & group.unix_groups for group in groups)
    return listed or not names.isdisjoint(rules.user_overrides)
