"""Run all checks in order, and apply the fixes of their findings. Only `apply_fixes` changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ds01.errors import Ds01Error
from ds01.host.checks import gpus as check_gpus
from ds01.host.checks import machine as check_machine
from ds01.host.checks import policy as check_policy
from ds01.host.checks import records as check_records
from ds01.host.checks import state as check_state
from ds01.host.checks.facts import DoctorFacts
from ds01.host.checks.findings import Finding, Fix, Level

Check = Callable[[DoctorFacts], Iterator[Finding]]

# Each check with its message if it finds nothing, and the facts that must have been observed for that to mean
# anything (fields that are None otherwise).
CHECKS: tuple[tuple[str, Check, str | Callable[[DoctorFacts], str], tuple[str, ...]], ...] = (
    ("policy", check_policy.policy, "the policy is valid", ("policy",)),
    ("policy-old-keys", check_policy.old_keys, "no key belongs to an older installation", ("policy",)),
    ("policy-members", check_policy.emptied_members, "no file of members was emptied", ("policy",)),
    ("policy-limits", check_policy.beyond_the_host, "no limit exceeds this server", ("policy", "engine")),
    ("policy-cpus", check_policy.cpus_of_slices, "no CPU limit exceeds its slice's", ("policy", "engine")),
    ("policy-swap", check_policy.swap, "swap cannot circumvent a memory limit", ("policy",)),
    (
        "policy-names",
        check_policy.names,
        "this server has every name of the policy",
        ("policy", "machine", "observation"),
    ),
    ("people", check_policy.people, "the policy and the group docker agree", ("policy", "machine", "docker_group")),
    ("user-database", check_machine.user_database, "the user database knows every owner", ("policy", "ledger")),
    ("docker-group", check_machine.group, "there is a group docker", ("machine",)),
    ("state", check_state.state_directory, "the state directory can be used", ("ledger",)),
    ("state-modes", check_state.modes, "modes and groups are correct", ("machine",)),
    ("space", check_state.space, check_state.describe_space, ("disks",)),
    ("docker", check_machine.docker, check_machine.describe_docker, ("docker",)),
    ("docker-setup", check_machine.docker_setup, "Docker is set up well", ("docker",)),
    ("records-unreadable", check_records.unreadable, "every record can be read", ("ledger",)),
    ("picture", check_state.gpu_state, "gpu-state.json shows the leases", ("ledger",)),
    ("records-docker", check_records.docker, "the records agree with Docker", ("ledger", "containers")),
    ("records-labels", check_records.labels, "the records agree with the containers' labels", ("ledger", "containers")),
    ("containers-broken", check_records.broken, "Docker can inspect every container", ("containers",)),
    ("leases", check_records.leases, "the leases agree with each other and with the GPUs", ("ledger", "observation")),
    ("slices", check_machine.slices, "the slices have the limits of the policy", ("machine", "policy", "docker")),
    ("nvml", check_gpus.nvml, "the GPUs answer, or there are none", ()),
    ("gpu-health", check_gpus.health, "every GPU is healthy", ("observation",)),
    ("gpu-mig", check_gpus.mig, "the MIG instances match the policy", ("policy", "observation")),
    ("gpu-outside", check_gpus.outside, "no GPU is used outside ds01", ("ledger", "blockers")),
    ("gpu-cdi", check_gpus.cdi, "Docker knows the driver's GPUs by CDI", ("docker", "observation", "cdi")),
    ("gpu-device-links", check_gpus.device_links, "systemd finds the GPUs' devices", ("machine", "docker")),
    ("cron", check_machine.cron, "cron has the entry that starts the tick", ("machine", "cron")),
    ("cron-daemon", check_machine.cron_daemon, "cron runs", ("machine", "cron_runs")),
    ("tick", check_machine.tick, "the last tick was good", ()),
    ("clock", check_state.clock, "the clock is not behind the records", ()),
    ("links", check_machine.links, "every command's link leads to ds01", ("machine",)),
)


def examine(facts: DoctorFacts) -> tuple[Finding, ...]:
    """Run every check and return the findings; a check without problems adds an `ok` unless its facts are unknown."""
    findings: list[Finding] = []
    for name, check, message_if_ok, required_facts in CHECKS:
        problems = list(check(facts))
        if not problems and all(getattr(facts, field) is not None for field in required_facts):
            problems = [
                Finding(name, Level.OK, message_if_ok if isinstance(message_if_ok, str) else message_if_ok(facts))
            ]
        findings += problems
    return tuple(findings)


def fixes_of(findings: Iterable[Finding]) -> dict[Fix, str]:
    """Return each fix once, in order, with the first finding that needs it."""
    fixes: dict[Fix, str] = {}
    for finding in findings:
        for fix in finding.fixes:
            fixes.setdefault(fix, finding.found)
    return fixes


def apply_fixes(
    before: Sequence[Finding], apply_fix: Callable[[Fix, str], None], examine_again: Callable[[], Sequence[Finding]]
) -> tuple[Finding, ...]:
    """Apply each fix, examine again, and mark findings that are now fixed. A failed fix is reported on its finding.

    `apply_fix` gets each fix with the finding that needs it.
    """
    failed: dict[Fix, str] = {}
    for fix, reason in fixes_of(before).items():
        try:
            apply_fix(fix, reason)
        except (Ds01Error, OSError) as error:
            failed[fix] = str(error)
    after = list(examine_again())
    remaining = {(finding.check, finding.found) for finding in after}
    newly_fixed = [
        replace(finding, fixed=True)
        for finding in before
        if finding.fixes and (finding.check, finding.found) not in remaining
        and not any(fix in failed for fix in finding.fixes)
    ]  # fmt: skip
    reported = [
        replace(finding, why=f"{finding.why}; --fix failed: {'; '.join(reasons)}")
        if (reasons := [failed[fix] for fix in finding.fixes if fix in failed])
        else finding
        for finding in after
        if finding.level is not Level.OK or finding.check not in {item.check for item in newly_fixed}
    ]
    return (*newly_fixed, *reported)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0 without problems, 1 for warnings, 2 for errors; fixed findings do not count."""
    levels = {finding.level for finding in findings if not finding.fixed}
    return 2 if Level.ERROR in levels else 1 if Level.WARNING in levels else 0
