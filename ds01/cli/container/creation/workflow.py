"""Creating a container, for create and deploy: the request, the plan, the pull, and the messages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain

from ds01.api.answers import Acted
from ds01.api.containers import CreateContainer, PlanContainer
from ds01.api.listing import GetLastRequest
from ds01.api.refusals import refusal_of
from ds01.api.steps import CreateStep
from ds01.api.types import ContainerRequest, Progress
from ds01.api.views import SlotView
from ds01.cli.command.definition import command_name
from ds01.cli.command.guide import explain
from ds01.cli.container.creation import image_choice
from ds01.cli.container.creation.alternatives import refusal_error
from ds01.cli.container.creation.environment import build_environment
from ds01.cli.container.creation.options import (
    CreateOptions,
    parse_container_name,
    parse_ports,
    resolve_directory,
    resolve_existing_directory,
)
from ds01.cli.container.steps.queue_wait import end_of_wait, say_position
from ds01.cli.image_pull import show_pull
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_gpus
from ds01.errors import NoCapacity, UsageError
from ds01.gpus.model import Rule, SlotRef
from ds01.policy.model import Limits
from ds01.policy.names import parse_name
from ds01.policy.units import format_number, readable_size


def build_request(session: Session, options: CreateOptions) -> ContainerRequest:
    """Return the request for the options; ask for what is missing on a terminal. Raises UsageError, NotFound."""
    ports = parse_ports(options.ports) or None
    environment = build_environment(session, options.environment)
    if options.name is None:
        if not session.interactive:
            raise UsageError("no name was given", hint=f"`{command_name()} NAME --framework pytorch`")
        options = image_choice.complete_interactively(session, options)
    name = parse_container_name(options.name or "")
    if name != options.name:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    previous = None
    if (options.image_or_framework, options.image, options.framework) == (None, None, None):
        previous = session.run(GetLastRequest(name, owner=session.owner.uid))
    image, framework = image_choice.resolve_image(session, options, name, previous)
    request = ContainerRequest(
        owner=session.owner.uid,
        name=name,
        image=image,
        framework=framework,
        gpus=options.gpu_request(),
        project=None if options.project is None else parse_name(options.project, "project name"),
        workspace=resolve_directory(session, options.workspace),
        data=resolve_existing_directory(session, options.data, "--data"),
        models=resolve_existing_directory(session, options.models, "--models"),
        ports=ports,
        environment=environment,
    )
    return request if previous is None else _with_previous_options(session, request, previous, options)


def _with_previous_options(
    session: Session, request: ContainerRequest, previous: ContainerRequest, options: CreateOptions
) -> ContainerRequest:
    """Fill in the request with the options of the removed container of this name, where none were given."""
    names_gpus = options.cpu_only or (options.gpus, options.gpu_type, options.profile) != (None, None, None)
    kept = {
        key: getattr(request, key) if getattr(request, key) is not None else getattr(previous, key)
        for key in ("project", "workspace", "data", "models", "ports")
    }
    if options.project is not None and options.workspace is None:
        kept["workspace"] = None  # another project has another workspace
    gpus = request.gpus if names_gpus else previous.gpus
    session.say(
        f"Creating {request.name} again from {request.image}, with its former options; `--image IMAGE` starts afresh."
    )
    environment = {**previous.environment, **request.environment}
    return dataclasses.replace(request, gpus=gpus, environment=environment, **kept)


def create(session: Session, request: ContainerRequest, options: CreateOptions, *, start: bool = False) -> Acted:
    """Create a container, after fetching its image and waiting in the queue if needed; `start`: start it too.

    Raises Ds01Error.
    """
    workspaces = session.policy.workspaces_of(session.owner.login, "~")
    explain(session, "image")
    explain(session, "workspace", workspace=request.workspace or f"{workspaces}/{request.project or request.name}")
    longest = options.wait_limit() if options.waits else None
    operation = CreateContainer(request, start=start, pull=True, wait=options.waits, longest=longest)
    acted: Acted | None = None
    with (
        _refusals_worded(session, request),
        end_of_wait(session, options.wait_for),
        closing(session.stream(operation)) as steps,
    ):
        first = next(steps)
        if first.stage == "fetching":
            first = _fetch(session, request.image, steps)
        explain(session, "gpu", name=request.name)
        explain(session, "create", name=request.name)
        if start:
            explain(session, "start", name=request.name)
        for step in chain([first], steps):
            acted = step.acted or acted
            if step.waiting is not None:
                say_position(session, step.waiting)
            elif step.stage == "created":
                _say_created(session, request, step)
    assert acted is not None
    if start:
        session.say(f"Started {request.name}.")
    return acted


def _fetch(session: Session, image: str, steps: Iterator[CreateStep]) -> CreateStep:
    """Show the progress of fetching the image, and return the first step after it."""
    after: list[CreateStep] = []

    def progress() -> Iterator[Progress]:
        for step in steps:
            if step.progress is None:
                after.append(step)
                return
            yield step.progress

    show_pull(session, image, progress())
    return after[0]


def _say_created(session: Session, request: ContainerRequest, step: CreateStep) -> None:
    assert step.acted is not None and step.limits is not None
    for warning in step.acted.warnings:
        session.warn(warning)
    gpus = step.acted.container.gpus
    devices, size = _describe_devices(step.note, gpus), _format_limits(step.limits)
    session.say(f"Created {request.name} from {request.image}: {devices}, {size}.")
    if len(gpus) > 1 and gpus[0].profile:
        session.say("Note: one CUDA process sees one MIG instance only; start a process for each.")


@contextmanager
def _refusals_worded(session: Session, request: ContainerRequest) -> Iterator[None]:
    """Add what the server has to a refusal of GPUs that it does not have."""
    try:
        yield
    except NoCapacity as error:
        refusal = refusal_of(error)
        if refusal is None or refusal.rule is not Rule.NO_GPUS:
            raise
        raise refusal_error(session, request, refusal) from error


def show_plan(session: Session, request: ContainerRequest) -> None:
    """Print what would be created. Raises the refusal that create would get."""
    plan = session.run(PlanContainer(request))
    if plan.refusal is not None:
        raise refusal_error(session, request, plan.refusal)
    session.write_document({"plan": plan})
    if session.as_json:
        return
    session.say(f"Would create {request.name} for {plan.limits.user} (group {plan.limits.group}):")
    session.say(
        f"  image       {request.image}{'' if plan.image_there else '  (not on this server: would be fetched)'}"
    )
    session.say(f"  devices     {_describe_devices(plan.note, plan.slots)}")
    session.say(f"  limits      {' '.join(plan.arguments)}")
    for mount in plan.spec.mounts if plan.spec else ():
        session.say(f"  {mount.target:10}  {mount.source}")
    for port in plan.spec.ports if plan.spec else ():
        session.say(f"  port        {port.container_port} on {port.host_ip}:{port.host_port or '(a free one)'}")
    for warning in plan.warnings:
        session.warn(warning)


def _format_limits(limits: Limits) -> str:
    """Return CPU and memory in a few words."""
    cpus = "all" if limits.max_cpus is None else format_number(limits.max_cpus)
    memory = "all" if limits.memory is None else readable_size(limits.memory)
    return f"{cpus} CPU{'' if cpus == '1' else 's'}, {memory} memory"


def _describe_devices(note: str | None, slots: Sequence[SlotView | SlotRef]) -> str:
    if slots:
        return f"GPU {format_gpus(slots)}"
    return {
        "no_gpus": "CPU only, this server has no GPU",
        "quota_zero": "CPU only, your quota of GPUs is 0",
    }.get(note or "", "CPU only")
