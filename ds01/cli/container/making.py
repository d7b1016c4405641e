"""What create and deploy share: their options, the wizard, the image, the pull, and what they say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ds01.cli import ask
from ds01.cli.guide import explain
from ds01.cli.pulling import pull
from ds01.cli.session import Session
from ds01.cli.words import gpu_names, moment
from ds01.engines.protocol import Port
from ds01.errors import NotFound, WrongUse
from ds01.gpus.model import GpuRequest, GpuType
from ds01.images.catalogue import Catalogue, architecture_of, is_framework, load, lookup
from ds01.lifecycle.refusals import error_of
from ds01.lifecycle.request import ContainerRequest
from ds01.lifecycle.views import Acted, Plan
from ds01.policy.names import fold_name
from ds01.system.clock import now
from ds01.system.settings import config_file


@dataclass(frozen=True)
class Asked:
    """What was typed, the names of the options."""

    name: str | None
    what: str | None
    image: str | None = None
    framework: str | None = None
    gpus: int | None = None
    gpu_type: str = "any"
    profile: str | None = None
    cpu_only: bool = False
    workspace: str | None = None
    data: str | None = None
    models: str | None = None
    ports: tuple[str, ...] = ()
    project: str | None = None


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of create and deploy; the function gets them as one `asked`."""
    added = [
        click.argument("name", required=False),
        click.argument("what", required=False, metavar="[IMAGE or FRAMEWORK]"),
        click.option("--image", metavar="IMAGE", help="The image to use; fetched if it is not there."),
        click.option("--framework", metavar="NAME[-VERSION]", help="One of the catalogue's, as pytorch-2.5.1."),
        click.option("--gpus", type=click.IntRange(min=0), metavar="N", help="How many GPUs. Default: one."),
        click.option("--gpu-type", type=click.Choice([kind.value for kind in GpuType]), default="any"),
        click.option("--profile", metavar="PROFILE", help="MIG instances of this profile, as 2g.20gb."),
        click.option("--cpu-only", is_flag=True, help="No GPU."),
        click.option("-w", "--workspace", metavar="DIR", help="Mounted at /workspace. Default: ~/workspace/PROJECT."),
        click.option("-d", "--data", metavar="DIR", help="Mounted at /data."),
        click.option("-m", "--models", metavar="DIR", help="Mounted at /models."),
        click.option("-p", "--port", "ports", multiple=True, metavar="[HOST:]CONTAINER", help="Publish one more port."),
        click.option("--project", metavar="PROJECT", help="Default: the name."),
        click.option("--dry-run", is_flag=True, help="Show what would be made, and make nothing."),
    ]

    def run(session: Session, *, dry_run: bool, **given: Any) -> Any:
        names = {field.name for field in dataclasses.fields(Asked)}
        asked = Asked(**{key: given.pop(key) for key in names})
        return function(session, asked, dry_run=dry_run, **given)

    run.__doc__ = function.__doc__
    run.__click_params__ = list(getattr(function, "__click_params__", []))  # type: ignore[attr-defined]
    decorated: Callable[..., Any] = run
    for option in reversed(added):
        decorated = option(decorated)
    return decorated


def request_of(session: Session, asked: Asked) -> ContainerRequest:
    """The request that the options make; asks for what is missing, on a terminal. Raises WrongUse, NotFound."""
    if asked.name is None:
        if not session.interactive:
            raise WrongUse("which name shall it have?", hint="say it: container-deploy NAME --image IMAGE")
        asked = _wizard(session, asked)
    assert asked.name is not None
    try:
        name, folded = fold_name(asked.name)
    except ValueError as error:
        raise WrongUse(f"{asked.name!r} is no container name", why=str(error)) from None
    if folded:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    image, framework = _image(session, asked, name)
    return ContainerRequest(
        owner=session.owner.uid,
        name=name,
        image=image,
        framework=framework,
        gpus=_gpus(asked),
        project=asked.project,
        workspace=_folder(asked.workspace),
        data=_folder(asked.data),
        models=_folder(asked.models),
        ports=tuple(_port(text) for text in asked.ports) or None,
    )


def make(session: Session, request: ContainerRequest) -> Acted:
    """Plan, pull, lease, create: in this order, so that nothing is leased during a pull. Raises Ds01Error."""
    workspace = request.workspace or f"~/workspace/{request.project or request.name}"
    explain(session, "image")
    explain(session, "workspace", workspace=workspace)
    plan = session.gate.plan(session.actor, request)
    if plan.refusal is not None:
        raise error_of(plan.refusal)
    if not plan.image_there:
        pull(session, request.image)
    explain(session, "gpu", name=request.name)
    explain(session, "create", name=request.name)
    acted = session.gate.create(session.actor, request)
    for warning in acted.warnings:
        session.warn(warning)
    gpus = acted.container.gpus
    session.say(f"Created {request.name} from {request.image}: {_devices(plan, gpus)}, {limits_line(plan)}.")
    if len(gpus) > 1 and gpus[0].profile:
        session.say("Note: one CUDA process sees one MIG instance only; start a process for each.")
    return acted


def show_plan(session: Session, request: ContainerRequest) -> None:
    """Print what would be made."""
    plan = session.gate.plan(session.actor, request)
    session.answer({"plan": plan})
    if session.as_json:
        if plan.refusal is not None:
            raise error_of(plan.refusal)
        return
    if plan.refusal is not None:
        raise error_of(plan.refusal)
    session.say(f"Would create {request.name} for {plan.limits.user} (group {plan.limits.group}):")
    session.say(f"  image      {request.image}{'' if plan.image_there else '  (not here: would be fetched)'}")
    session.say(f"  GPU        {_devices(plan, plan.slots)}")
    session.say(f"  limits     {' '.join(plan.arguments)}")
    for mount in plan.spec.mounts if plan.spec else ():
        session.say(f"  {mount.target:10} {mount.source}")
    for port in plan.spec.ports if plan.spec else ():
        session.say(f"  port       {port.container_port} on {port.host_ip}:{port.host_port or '(a free one)'}")
    for warning in plan.warnings:
        session.warn(warning)


def limits_line(plan: Plan) -> str:
    """CPU and memory in a few words."""
    from ds01.policy.units import format_size

    limits = plan.limits.limits
    cpus = "all CPUs" if limits.max_cpus is None else f"{limits.max_cpus:g} CPU{'' if limits.max_cpus == 1 else 's'}"
    return f"{cpus}, {'all' if limits.memory is None else format_size(limits.memory)} memory"


def catalogue() -> Catalogue:
    """The frameworks that ds01 knows, and those of the server's own list."""
    return load(config_file("images.yaml"))


def _devices(plan: Plan, slots: Any) -> str:
    if slots:
        return f"GPU {gpu_names(slots)}"
    return {
        "no_gpus": "CPU only, this server has no GPU",
        "quota_zero": "CPU only, your quota of GPUs is 0",
    }.get(plan.note or "", "CPU only")


def _wizard(session: Session, asked: Asked) -> Asked:
    """Image, name, GPU or CPU, how many."""
    what, image, framework = asked.what, asked.image, asked.framework
    if (what, image, framework) == (None, None, None):
        explain(session, "image")
        image, framework = _ask_image(session)
    name = ask.text("Name of the container", default=asked.project)
    changes: dict[str, Any] = {"name": name, "image": image, "framework": framework}
    if asked.gpus is None and not asked.cpu_only:
        explain(session, "gpu", name=name)
        if ask.choose("GPU or CPU?", ["with a GPU", "CPU only"]) == 1:
            changes["cpu_only"] = True
        else:
            allowed = session.gate.limits(session.actor, owner=session.owner.uid).limits.limits.max_gpus_per_container
            if allowed is None or allowed > 1:
                changes["gpus"] = click.prompt("How many GPUs?", type=click.IntRange(1, allowed), default=1)
    return dataclasses.replace(asked, **changes)


def _ask_image(session: Session) -> tuple[str | None, str | None]:
    """An image of one's own, or a framework."""
    own = session.gate.own_images(session.actor, owner=session.owner.uid)
    newest: dict[str, str] = {}
    for entry in catalogue().entries:
        newest.setdefault(entry.framework, entry.label)
    frameworks = list(newest.values())
    choices = [*own, *(f"{label} (framework)" for label in frameworks), "another image, by its name"]
    chosen = ask.choose("Which image?", choices)
    if chosen < len(own):
        return own[chosen], None
    if chosen < len(own) + len(frameworks):
        return None, frameworks[chosen - len(own)]
    return ask.text("Image"), None


def _image(session: Session, asked: Asked, name: str) -> tuple[str, str | None]:
    """The image's reference, and the framework's label. The order is the contract's."""
    if asked.image is not None:
        if asked.what is not None or asked.framework is not None:
            raise WrongUse("one image, please", why="--image was given, and a framework or a second word too")
        return asked.image, None
    if asked.framework is not None:
        if asked.what is not None:
            raise WrongUse("one image, please", why="--framework was given, and a second word too")
        return _framework(session, asked.framework)
    own = f"ds01-{session.owner.uid}"
    if asked.what is not None:
        if is_framework(catalogue(), asked.what):
            return _framework(session, asked.what)
        for reference in (f"{own}/{asked.what}", asked.what):
            if session.gate.image_is_there(session.actor, reference):
                return reference, None
        raise NotFound(
            f"{asked.what} is no framework and no image on this server",
            why=f"looked for {own}/{asked.what} and {asked.what}",
            hint=f"--image {asked.what} fetches it from a registry",
        )
    default = f"{own}/{asked.project or name}"
    if session.gate.image_is_there(session.actor, default):
        return default, None
    if session.interactive:
        image, framework = _ask_image(session)
        return (image, None) if image is not None else _framework(session, framework or "")
    raise NotFound(
        f"which image shall {name} have?",
        why=f"there is no {default}",
        hint="--image IMAGE, --framework pytorch, or a second word: container-deploy NAME pytorch",
    )


def _framework(session: Session, text: str) -> tuple[str, str]:
    entry = lookup(catalogue(), text, _architecture(session))
    return entry.image, entry.label


def _architecture(session: Session) -> str | None:
    gpus = session.gate.gpu_models(session.actor)
    found = {architecture_of(model) for model in gpus}
    return found.pop() if len(found) == 1 else None


def _gpus(asked: Asked) -> GpuRequest:
    if asked.cpu_only:
        if asked.gpus or asked.profile or asked.gpu_type != "any":
            raise WrongUse("--cpu-only and a GPU at once")
        return GpuRequest(0)
    if asked.profile is not None and asked.gpu_type == "full":
        raise WrongUse("--profile is of MIG instances, --gpu-type full of whole GPUs")
    return GpuRequest(asked.gpus, GpuType(asked.gpu_type), asked.profile)


def _folder(text: str | None) -> str | None:
    return None if text is None else str(Path(text).expanduser().absolute())


def _port(text: str) -> Port:
    host, colon, container = text.rpartition(":")
    numbers = [part for part in (host, container) if part or colon]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 65536 for part in numbers):
        raise WrongUse(f"{text!r} is no port", hint="-p CONTAINER or -p HOST:CONTAINER, numbers from 1 to 65535")
    return Port(int(container), int(host) if colon else None)


def say_hold(session: Session, acted: Acted) -> None:
    """How long the GPU of a stopped container is held."""
    view = acted.container
    if not view.gpus:
        return
    until = moment(view.held_until, now()) if view.held_until else "you give it back"
    session.say(f"GPU {gpu_names(view.gpus)} is held for you until {until}.")
