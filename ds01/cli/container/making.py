"""Making a container, as create and deploy do: the request, the plan, the pull, and what is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain

from ds01.api.containers import CreateContainer, GetLastRequest, PlanContainer
from ds01.api.refusals import refusal_of
from ds01.api.views import Acted, CreateStep, SlotView
from ds01.cli.container import choosing
from ds01.cli.container.asked import Asked, existing_folder, folded_name, folder, ports_of
from ds01.cli.container.environment import environment_of
from ds01.cli.container.refusing import refusal_error
from ds01.cli.container.waiting import end_of_wait, say_position
from ds01.cli.guide import explain
from ds01.cli.options import typed
from ds01.cli.pulling import show_pull
from ds01.cli.session import Session
from ds01.cli.words import gpu_names
from ds01.engines.protocol import Progress
from ds01.errors import NoGpuFree, WrongUse
from ds01.gpus.model import Rule, SlotRef
from ds01.policy.model import Limits
from ds01.policy.names import parse_name
from ds01.policy.units import format_number, readable_size
from ds01.records.request import ContainerRequest


def request_of(session: Session, asked: Asked) -> ContainerRequest:
    """The request that the options make; asks for what is missing, on a terminal. Raises WrongUse, NotFound."""
    ports = ports_of(asked.ports) or None
    environment = environment_of(session, asked.environment)
    if asked.name is None:
        if not session.interactive:
            raise WrongUse("no name was given", hint=f"`{typed()} NAME --framework pytorch`")
        asked = choosing.wizard(session, asked)
    name = folded_name(asked.name or "")
    if name != asked.name:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    before = None
    if (asked.what, asked.image, asked.framework) == (None, None, None):
        before = session.run(GetLastRequest(name, owner=session.owner.uid))
    image, framework = choosing.image(session, asked, name, before)
    request = ContainerRequest(
        owner=session.owner.uid,
        name=name,
        image=image,
        framework=framework,
        gpus=asked.gpu_request(),
        project=None if asked.project is None else parse_name(asked.project, "project name"),
        workspace=folder(session, asked.workspace),
        data=existing_folder(session, asked.data, "--data"),
        models=existing_folder(session, asked.models, "--models"),
        ports=ports,
        environment=environment,
    )
    return request if before is None else _as_before(session, request, before, asked)


def _as_before(session: Session, request: ContainerRequest, before: ContainerRequest, asked: Asked) -> ContainerRequest:
    """Return the request with what the removed container of this name had, where nothing else was asked for."""
    says_gpus = asked.cpu_only or (asked.gpus, asked.gpu_type, asked.profile) != (None, None, None)
    kept = {
        key: getattr(request, key) if getattr(request, key) is not None else getattr(before, key)
        for key in ("project", "workspace", "data", "models", "ports")
    }
    if asked.project is not None and asked.workspace is None:
        kept["workspace"] = None  # another project lies elsewhere
    gpus = request.gpus if says_gpus else before.gpus
    session.say(
        f"Making {request.name} again with the options it had, from {request.image}; `--image IMAGE` starts afresh."
    )
    environment = {**before.environment, **request.environment}
    return dataclasses.replace(request, gpus=gpus, environment=environment, **kept)


def create(session: Session, request: ContainerRequest, asked: Asked, *, start: bool = False) -> Acted:
    """Create a container, fetch its image and wait in the queue before if need be; `start`: start it too.

    Raises Ds01Error.
    """
    workspaces = session.policy.workspaces_of(session.owner.login, "~")
    explain(session, "image")
    explain(session, "workspace", workspace=request.workspace or f"{workspaces}/{request.project or request.name}")
    longest = asked.longest_wait() if asked.waits else None
    operation = CreateContainer(request, start=start, pull=True, wait=asked.waits, longest=longest)
    acted: Acted | None = None
    with _refusals_worded(session, request), end_of_wait(session, asked.wait_for):
        with closing(session.stream(operation)) as steps:
            step = next(steps)
            if step.stage == "fetching":
                step = _fetch(session, request.image, steps)
            explain(session, "gpu", name=request.name)
            explain(session, "create", name=request.name)
            for step in chain([step], steps):
                acted = step.acted or acted
                if step.waiting is not None:
                    say_position(session, step.waiting)
                elif step.stage == "created":
                    _say_created(session, request, step)
                    if start:
                        explain(session, "start", name=request.name)
    assert acted is not None
    if start:
        session.say(f"Started {request.name}.")
    return acted


def _fetch(session: Session, image: str, steps: Iterator[CreateStep]) -> CreateStep:
    """Show the progress of the image, and return the first step after it."""
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
    devices, size = _devices(step.note, gpus), _size(step.limits)
    session.say(f"Created {request.name} from {request.image}: {devices}, {size}.")
    if len(gpus) > 1 and gpus[0].profile:
        session.say("Note: one CUDA process sees one MIG instance only; start a process for each.")


@contextmanager
def _refusals_worded(session: Session, request: ContainerRequest) -> Iterator[None]:
    """Word the refusal of what the server does not have, with what it has."""
    try:
        yield
    except NoGpuFree as error:
        refusal = refusal_of(error)
        if refusal is None or refusal.rule is not Rule.NO_GPUS:
            raise
        raise refusal_error(session, request, refusal) from error


def show_plan(session: Session, request: ContainerRequest) -> None:
    """Print what would be made. Raises what create would be refused with."""
    plan = session.run(PlanContainer(request))
    if plan.refusal is not None:
        raise refusal_error(session, request, plan.refusal)
    session.answer({"plan": plan})
    if session.as_json:
        return
    session.say(f"Would create {request.name} for {plan.limits.user} (group {plan.limits.group}):")
    session.say(f"  image       {request.image}{'' if plan.image_there else '  (not here: would be fetched)'}")
    session.say(f"  GPU         {_devices(plan.note, plan.slots)}")
    session.say(f"  limits      {' '.join(plan.arguments)}")
    for mount in plan.spec.mounts if plan.spec else ():
        session.say(f"  {mount.target:10}  {mount.source}")
    for port in plan.spec.ports if plan.spec else ():
        session.say(f"  port        {port.container_port} on {port.host_ip}:{port.host_port or '(a free one)'}")
    for warning in plan.warnings:
        session.warn(warning)


def _size(limits: Limits) -> str:
    """CPU and memory in a few words."""
    cpus = "all" if limits.max_cpus is None else format_number(limits.max_cpus)
    memory = "all" if limits.memory is None else readable_size(limits.memory)
    return f"{cpus} CPU{'' if cpus == '1' else 's'}, {memory} memory"


def _devices(note: str | None, slots: Sequence[SlotView | SlotRef]) -> str:
    if slots:
        return f"GPU {gpu_names(slots)}"
    return {
        "no_gpus": "CPU only, this server has no GPU",
        "quota_zero": "CPU only, your quota of GPUs is 0",
    }.get(note or "", "CPU only")
