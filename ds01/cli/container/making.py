"""Making a container, as create and deploy do: the request, the plan, the pull, and what is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ds01.cli.container import choosing
from ds01.cli.container.asked import Asked, existing_folder, folded_name, folder, ports_of
from ds01.cli.container.environment import environment_of
from ds01.cli.container.refusing import refusal_error
from ds01.cli.container.waiting import follow
from ds01.cli.guide import explain
from ds01.cli.options import typed
from ds01.cli.pulling import pull
from ds01.cli.session import Session
from ds01.cli.words import gpu_names
from ds01.errors import WrongUse
from ds01.gate.views import Acted, Plan, SlotView
from ds01.gpus.model import SlotRef
from ds01.policy.model import Limits
from ds01.policy.names import typed_name
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
        before = session.gate.last_request(session.actor, name, owner=session.owner.uid)
    image, framework = choosing.image(session, asked, name, before)
    request = ContainerRequest(
        owner=session.owner.uid,
        name=name,
        image=image,
        framework=framework,
        gpus=asked.gpu_request(),
        project=None if asked.project is None else typed_name(asked.project, "project name"),
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


def make(session: Session, request: ContainerRequest, asked: Asked) -> Acted:
    """Plan, pull, lease, create: in this order, so that nothing is leased during a pull. Raises Ds01Error."""
    workspaces = session.policy.workspaces_of(session.owner.login, "~")
    workspace = request.workspace or f"{workspaces}/{request.project or request.name}"
    explain(session, "image")
    explain(session, "workspace", workspace=workspace)
    plan = session.gate.plan(session.actor, request, attempt=True, waits=asked.waits)
    if plan.refusal is not None and not (asked.waits and plan.refusal.temporary):
        raise refusal_error(session, request, plan.refusal)
    if not plan.image_there:
        pull(session, request.image)
    explain(session, "gpu", name=request.name)
    explain(session, "create", name=request.name)
    acted = _in_line(session, request, asked) if asked.waits else session.gate.create(session.actor, request)
    for warning in acted.warnings:
        session.warn(warning)
    gpus = acted.container.gpus
    limits = plan.limits
    if asked.waits or not plan.image_there:  # that took its time, and the policy may be another by now
        limits = session.gate.limits(session.actor, owner=session.owner.uid).limits
    session.say(f"Created {request.name} from {request.image}: {_devices(plan, gpus)}, {_size(limits.limits)}.")
    if len(gpus) > 1 and gpus[0].profile:
        session.say("Note: one CUDA process sees one MIG instance only; start a process for each.")
    return acted


def _in_line(session: Session, request: ContainerRequest, asked: Asked) -> Acted:
    """Create when it is one's turn. Ctrl-C leaves the queue."""
    return follow(session, session.gate.wait(session.actor, request, longest=asked.longest_wait()), asked.wait_for)


def show_plan(session: Session, request: ContainerRequest) -> None:
    """Print what would be made. Raises what create would be refused with."""
    plan = session.gate.plan(session.actor, request)
    if plan.refusal is not None:
        raise refusal_error(session, request, plan.refusal)
    session.answer({"plan": plan})
    if session.as_json:
        return
    session.say(f"Would create {request.name} for {plan.limits.user} (group {plan.limits.group}):")
    session.say(f"  image       {request.image}{'' if plan.image_there else '  (not here: would be fetched)'}")
    session.say(f"  GPU         {_devices(plan, plan.slots)}")
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


def _devices(plan: Plan, slots: Sequence[SlotView | SlotRef]) -> str:
    if slots:
        return f"GPU {gpu_names(slots)}"
    return {
        "no_gpus": "CPU only, this server has no GPU",
        "quota_zero": "CPU only, your quota of GPUs is 0",
    }.get(plan.note or "", "CPU only")
