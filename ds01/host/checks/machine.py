"""Check Docker, the slices, cron, the tick, the user database and the program's links. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from ds01.host.checks.docker_security import docker_security
from ds01.host.checks.facts import DoctorFacts
from ds01.host.checks.findings import (
    ApplySliceLimits,
    CreateGroup,
    CreateLink,
    Finding,
    SetMode,
    error,
    join_few,
    warning,
)
from ds01.host.slice_limits import describe_driver_obstacle, describe_share
from ds01.observe.server.complaints import STALE_TICK
from ds01.policy.model import SliceLimits
from ds01.policy.resolve import group_limits

OLDEST_DOCKER = (20, 10)

DAEMON = "/etc/docker/daemon.json"


def docker(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that Docker answers, and is the same as last time."""
    problem = facts.engine_problem
    if problem is not None:
        yield error("docker", problem.message, problem.why, problem.hint)


def describe_docker(facts: DoctorFacts) -> str:
    """Return Docker's version and cgroup driver in one line."""
    assert facts.docker is not None
    docker = facts.docker
    return (
        f"Docker {docker.version} answers; cgroup driver {docker.cgroup_driver}, cgroup version {docker.cgroup_version}"
    )


def docker_setup(facts: DoctorFacts) -> Iterator[Finding]:
    """Check Docker's settings that matter for GPUs and running containers."""
    engine = facts.docker
    if engine is None:
        return
    version = tuple(int(part) for part in re.findall(r"\d+", engine.version)[:2])
    if version < OLDEST_DOCKER:
        yield warning(
            "docker-version", f"Docker is {engine.version}", "ds01 is tested with 20.10 and later", "upgrade Docker"
        )
    if not engine.live_restore:
        yield warning(
            "docker-live-restore",
            "live-restore is off",
            "a restart of dockerd, for example during an upgrade, stops every container",
            f'put {{"live-restore": true}} into {DAEMON}, then systemctl reload docker',
        )
    if engine.default_runtime == "nvidia":
        yield warning(
            "docker-runtime",
            "Docker's default runtime is nvidia",
            "containers created outside ds01 from a CUDA image see every GPU",
            f'remove "default-runtime" from {DAEMON}, then restart Docker',
        )
    gpus = facts.observation is not None and facts.observation.gpus and not facts.observation.simulated
    if gpus and not facts.nvidia_hook and "nvidia" not in engine.runtimes:
        yield error(
            "docker-nvidia",
            "Docker has no NVIDIA runtime hook",
            "no container can get a GPU",
            "install nvidia-container-toolkit, then restart Docker",
        )
    yield from docker_security(facts)


def slices(facts: DoctorFacts) -> Iterator[Finding]:
    """Compare the limits of the slices with the policy."""
    if facts.sandbox or facts.policy is None:
        return
    if facts.docker is not None and facts.docker.cgroup_driver != "systemd":
        names = [*facts.policy.groups, *([] if facts.policy.groups else ["default"])]
        limits = [group_limits(facts.policy, name) for name in names]
        if any(item.aggregate != SliceLimits() or item.group_total != SliceLimits() for item in limits):
            why, hint = describe_driver_obstacle(facts.docker.cgroup_driver)
            yield warning("slices", "the policy's slice limits have no effect", why, hint)
        return
    if facts.slices_problem is not None:
        yield warning("slices", facts.slices_problem.message, facts.slices_problem.why, facts.slices_problem.hint)
    if facts.slices:
        changes = [f"{c.unit} has {describe_share(c.before)}, not {describe_share(c.after)}" for c in facts.slices]
        yield warning(
            "slices",
            join_few(changes, 3),
            "users or groups may use more, or less, than the policy says",
            "sudo ds01 slices apply",
            (ApplySliceLimits(),),
        )


def cron(facts: DoctorFacts) -> Iterator[Finding]:
    """Check the cron entry that starts the tick."""
    entry = facts.cron
    if entry is None or facts.sandbox:
        return
    if entry.mode is None:
        yield error(
            "cron", f"{entry.path} is missing", "nothing starts the tick: no GPU is released automatically",
            "apt install --reinstall -o Dpkg::Options::=--force-confmiss ds01",
        )  # fmt: skip
    elif not re.search(r"^[^#\n]*\bds01 tick\b", entry.text, re.MULTILINE):
        yield error("cron", f"{entry.path} does not start `ds01 tick`", "no GPU is released automatically",
                    "put the line `*/5 * * * * root ds01 tick` back")  # fmt: skip
    elif entry.uid != 0 or entry.mode & 0o022:
        yield error(
            "cron", f"{entry.path} has mode {entry.mode:04o} and belongs to uid {entry.uid}",
            "cron ignores entries that users other than root can write", "sudo ds01 doctor --fix",
            (SetMode(entry.path, 0o644, 0, 0),),
        )  # fmt: skip


def cron_daemon(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that cron runs."""
    if facts.cron_runs is False and not facts.sandbox:
        yield error("cron-daemon", "cron does not run", "nothing starts the tick", "systemctl enable --now cron")


def tick(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that ticks run, and without errors."""
    last = facts.tick
    if last.problem is not None:
        yield warning(
            "tick", f"the report of the last tick cannot be read: {last.problem}", None, "the next tick rewrites it"
        )
    elif last.started_at is None:
        yield warning("tick", "no tick has run yet", "no GPU is released automatically", "sudo ds01 tick shows why")
    elif last.last_good_at is None:
        yield error("tick", "no tick has succeeded yet", "some of its work is not done",
                    "sudo ds01 tick shows why")  # fmt: skip
    elif facts.now - last.last_good_at > STALE_TICK:
        minutes = (facts.now - last.last_good_at) // timedelta(minutes=1)
        runs = facts.now - last.started_at <= STALE_TICK
        yield error("tick", f"the last good tick was {minutes} minutes ago",
                    "ticks run, but none of them could do all of its work" if runs
                    else "timeouts and holds are not enforced",
                    "sudo ds01 tick shows why; tick.log has its output from cron")  # fmt: skip
    if last.errors:
        yield warning("tick-errors", join_few(list(last.errors), 3), "the last tick could not do all of its work",
                      "the next tick tries again; see events.jsonl")  # fmt: skip
    if last.not_judged:
        yield warning("tick-unknown", join_few(list(last.not_judged), 3), "what is unknown is never stopped, "
                      "and its GPU is not released",
                      "sudo ds01 tick shows whether the problem persists")  # fmt: skip


def user_database(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that the user database answers what limits depend on."""
    if facts.doubts:
        yield warning(
            "user-database", join_few(list(facts.doubts), 3),
            "if it is down, limits would be wrong: nothing of these users is stopped, released, removed or re-limited",
            "`getent passwd UID` and `getent group NAME` show whether it answers; remove a deleted Unix group from the "
            "policy; containers of deleted users are handled after a day",
        )  # fmt: skip


def group(facts: DoctorFacts) -> Iterator[Finding]:
    """Check the group docker, through which users share Docker and the state."""
    if not facts.sandbox and facts.docker_group is None:
        yield error("docker-group", "there is no group docker", "only root can use ds01",
                    "sudo ds01 doctor --fix creates it", (CreateGroup("docker"),))  # fmt: skip


def links(facts: DoctorFacts) -> Iterator[Finding]:
    """Check the commands' links next to the program."""
    if facts.sandbox:
        return
    if facts.program is None:
        yield warning("links", "ds01 is not on the PATH", "cron and users do not find it", "install the package")
        return
    wrong = [link for link in facts.links if link.target != facts.program]
    # Links to another or a missing ds01 are replaced; anything else stays.
    missing = [link for link in wrong if link.target is None or link.target.rpartition("/")[2] == "ds01"]
    if missing:
        yield warning(
            "links",
            f"{join_few([link.path for link in missing])} {'does' if len(missing) == 1 else 'do'} not lead to ds01",
            "users do not find these commands",
            "sudo ds01 doctor --fix",
            tuple(CreateLink(link.path, "ds01") for link in missing),
        )
    for link in wrong:
        if link not in missing:
            yield warning(
                "links", f"{link.path} leads to {link.target}", "another program uses the name of a command",
                "remove one of the two packages",
            )  # fmt: skip
