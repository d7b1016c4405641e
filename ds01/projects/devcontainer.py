"""A devcontainer.json for a project: VS Code makes a container with ds01's limits, the owner's uid, and no GPU.

VS Code always makes the container itself, so ds01 can neither lease it a GPU nor stop it. It therefore gets none, also
where Docker would give every GPU to images that ask for `all`; the file says how to attach to ds01's own instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ds01.lifecycle.spec.compose import CPU_PERIOD
from ds01.policy.names import container_name
from ds01.projects.steps import Step
from ds01.projects.texts import put_file
from ds01.projects.texts import text as shipped
from ds01.system.home import Home
from ds01.system.users import Account

FILE = ".devcontainer/devcontainer.json"


def own_image(owner: Account, project: str) -> str:
    """The image that image-create builds for a project of that name."""
    return f"ds01-{owner.uid}/{project}"


def text(project: str, image: str, *, owner: Account, limits: Sequence[str]) -> str:
    """The file: JSON below a comment. `limits` are Docker's flags, as the policy gives them to the owner."""
    arguments = [f"--user={owner.uid}:{owner.gid}", *(flag for limit in limits for flag in _accepted(limit))]
    return shipped(
        "devcontainer.json",
        project=project,
        image=json.dumps(image)[1:-1],
        container=container_name(project, owner.uid),
        arguments=",\n".join(f"    {json.dumps(argument)}" for argument in arguments),
    )


def create(
    home: Home, folder: Path, project: str, image: str, *, limits: Sequence[str], overwrite: bool = False
) -> Step:
    """Write it into a project's folder; one that says something else only with `overwrite`."""
    content = text(project, image, owner=home.account, limits=limits)
    return put_file(home, folder / FILE, content, called=FILE, overwrite=overwrite)


def _accepted(limit: str) -> tuple[str, ...]:
    """A flag as Docker takes it on every machine: it refuses --cpus above the number of the host's processors."""
    name, _, value = limit.partition("=")
    if name != "--cpus":
        return (limit,)
    return (f"--cpu-period={CPU_PERIOD}", f"--cpu-quota={round(float(value) * CPU_PERIOD)}")
