"""Write a project's devcontainer.json: VS Code creates a container with ds01's limits, the owner's uid, and no GPU.

VS Code always creates the container itself, so ds01 can neither lease it a GPU nor stop it. So it gets no GPU, even if
the image asks Docker for all of them; the file says how to attach to a container of ds01 instead.
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
    """Return the image that image-create builds for a project of that name."""
    return f"ds01-{owner.uid}/{project}"


def render(project: str, image: str, *, owner: Account, limits: Sequence[str]) -> str:
    """Render the file: JSON below a comment. `limits` are Docker flags with the owner's limits."""
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
    """Write the file into a project's directory; a different one is only replaced with `overwrite`."""
    content = render(project, image, owner=home.account, limits=limits)
    return put_file(home, folder / FILE, content, label=FILE, overwrite=overwrite)


def _portable_flags(limit: str) -> tuple[str, ...]:
    """Return a flag that Docker accepts on every machine: it refuses --cpus above the number of processors."""
    name, _, value = limit.partition("=")
    if name != "--cpus":
        return (limit,)
    return (f"--cpu-period={CPU_PERIOD}", f"--cpu-quota={round(float(value) * CPU_PERIOD)}")
