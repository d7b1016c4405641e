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
from ds01.projects.step_result import StepResult
from ds01.projects.templates import put_file
from ds01.projects.templates import render_template as render_template
from ds01.system.home import Home
from ds01.system.users import Account

FILE = ".devcontainer/devcontainer.json"


def default_image(owner: Account, project: str) -> str:
    """The image that image-create builds for a project of that name."""
    return f"ds01-{owner.uid}/{project}"


def render(project: str, image: str, *, owner: Account, limits: Sequence[str]) -> str:
    """The file: JSON below a comment. `limits` are Docker's flags, as the policy gives them to the owner."""
    arguments = [f"--user={owner.uid}:{owner.gid}", *(flag for limit in limits for flag in _portable_flags(limit))]
    return render_template(
        "devcontainer.json",
        project=project,
        image=json.dumps(image)[1:-1],
        container=container_name(project, owner.uid),
        arguments=",\n".join(f"    {json.dumps(argument)}" for argument in arguments),
    )


def write_devcontainer(
    home: Home, folder: Path, project: str, image: str, *, limits: Sequence[str], overwrite: bool = False
) -> StepResult:
    """Write it into a project's folder; one that says something else only with `overwrite`."""
    content = render(project, image, owner=home.account, limits=limits)
    return put_file(home, folder / FILE, content, label=FILE, overwrite=overwrite)


def _portable_flags(limit: str) -> tuple[str, ...]:
    """A flag as Docker takes it on every machine: it refuses --cpus above the number of the host's processors."""
    name, _, value = limit.partition("=")
    if name != "--cpus":
        return (limit,)
    return (f"--cpu-period={CPU_PERIOD}", f"--cpu-quota={round(float(value) * CPU_PERIOD)}")
