"""All cases, in the order of the golden file."""

from __future__ import annotations

from tests.golden.case import Case
from tests.golden.cases import (
    command_line,
    containers,
    creation,
    failures,
    gpus,
    images,
    mlc,
    policies,
    projects,
    requirements,
    server,
    stopping,
)

CASES: list[Case] = [
    case
    for module in (
        command_line, creation, containers, stopping, gpus, images, requirements, projects, mlc, policies, server,
        failures,
    )
    for case in module.CASES
]  # fmt: skip
