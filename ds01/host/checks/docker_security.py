"""Check the security options of a hardened Docker: which ones ds01 turns off, and what will not work. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ds01.host.checks.facts import DoctorFacts
from ds01.host.checks.findings import Finding, error, warning
from ds01.policy.resolve import group_limits

DAEMON = "/etc/docker/daemon.json"


def docker_security(facts: DoctorFacts) -> Iterator[Finding]:
    """Compare Docker's security options with what ds01's containers need."""
    engine = facts.docker
    if engine is None:
        return
    options = engine.security_options
    if "rootless" in options:
        yield error(
            "docker-rootless",
            "Docker is rootless",
            "files that a container writes belong to other uids on this server, slices have no effect, and GPUs "
            "cannot be assigned individually",
            "run Docker as a system service: dockerd-rootless-setuptool.sh uninstall, then "
            "systemctl enable --now docker",
        )
    if "userns" in options:
        yield warning(
            "docker-userns",
            "Docker remaps users (userns-remap)",
            "ds01 creates its containers without that, or nobody could write to their workspace; sudo and other setuid "
            "programs of images do not work in them, because their files belong to the remapped root",
            f'remove "userns-remap" from {DAEMON}, then restart Docker; until then `container-run --root` gives root',
        )
    if "no-new-privileges" in options and _some_may_be_root(facts):
        yield warning(
            "docker-no-new-privileges",
            "Docker's no-new-privileges has no effect in ds01's containers",
            "the policy's `root_inside: true` promises sudo, which needs setuid programs",
            "to make it effective, put `root_inside: false` into the policy's defaults",
        )
    if "selinux" in options:
        yield warning(
            "docker-selinux",
            "Docker labels containers for SELinux",
            "directories of homes and of /data keep their labels when mounted, and cannot be read inside",
            f'remove "selinux-enabled" from {DAEMON}, then restart Docker',
        )


def _some_may_be_root(facts: DoctorFacts) -> bool:
    if facts.policy is None:
        return True
    names = [*facts.policy.groups, facts.policy.default_group or "default"]
    return any(group_limits(facts.policy, name).root_inside for name in names)
