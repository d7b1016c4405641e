"""Choosing the image of a new container: by the options, by its name, or by a question on a terminal."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable

import click

from ds01.api.images import HasImage, ListImages
from ds01.api.listing import ListContainers
from ds01.api.server import GetGpuStatus, GetLimits
from ds01.api.types import ContainerRequest, is_reference
from ds01.cli import catalogues
from ds01.cli.command.definition import command_name
from ds01.cli.command.guide import explain
from ds01.cli.container.creation.alternatives import resolve_refusal
from ds01.cli.container.creation.options import CreateOptions, parse_container_name, resolve_directory
from ds01.cli.container.creation.project_image import ProjectImage, read_project_image
from ds01.cli.image_pull import pull_typed
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.errors import NotFound, UsageError

ImageChoice = tuple[str, str | None]  # the image's reference, and the framework's label if it is one


def resolve_image(
    session: Session, options: CreateOptions, name: str, previous: ContainerRequest | None = None
) -> ImageChoice:
    """Return the image for the container `name`, in the documented order. Raises NotFound, UsageError.

    `previous`: the request of a removed container with this name.
    """
    prefix = f"ds01-{session.owner.uid}"
    if options.image is not None:
        own_image = f"{prefix}/{options.image}"
        is_own_image = is_reference(own_image) and session.run(HasImage(own_image))
        return own_image if is_own_image else _check_image_name(options.image), None
    if options.framework is not None:
        return _framework_image(session, options.framework)
    if options.image_or_framework is not None:
        if catalogues.is_known(options.image_or_framework):
            return _framework_image(session, options.image_or_framework)
        for reference in (f"{prefix}/{options.image_or_framework}", options.image_or_framework):
            if is_reference(reference) and session.run(HasImage(reference)):
                return reference, None
        raise NotFound(
            f"{options.image_or_framework} is neither a framework nor an image on this server",
            why=f"looked for {prefix}/{options.image_or_framework} and {options.image_or_framework}",
            hint=f"`--image {options.image_or_framework}` fetches it from a registry",
        )
    project = options.project or name
    default = f"{prefix}/{project}"
    if is_reference(default) and session.run(HasImage(default)):
        return default, None
    project_image = read_project_image(session, project, resolve_directory(session, options.workspace))
    if project_image is not None and (chosen := _image_from_project_file(session, project_image)) is not None:
        return chosen
    if previous is not None:
        return previous.image, previous.framework
    if session.interactive:
        chosen = _ask_image(session, project)
        return (chosen[0], chosen[1]) if chosen[1] is not None else (pull_typed(session, chosen[0]), None)
    raise NotFound(
        f"no image was named for {name}",
        why=f"there is no {default}",
        hint=f"`--image IMAGE`, `--framework pytorch`, or a second word: `{command_name()} {name} pytorch`;\n"
        f"`image-create {project}` builds one of your own",
    )


def complete_interactively(session: Session, options: CreateOptions) -> CreateOptions:
    """Ask for what the options leave open: image, name, GPU or CPU, how many."""
    if (options.image_or_framework, options.image, options.framework) == (None, None, None):
        explain(session, "image")
        reference, framework = _ask_image(session, options.project)
        options = dataclasses.replace(options, image=None if framework else reference, framework=framework)
    suggested = options.project or _own_image_name(session, options.image)
    name = prompts.ask_text("Name of the container", default=suggested, check=_new_name_check(session))
    options = _choose_gpus(session, dataclasses.replace(options, name=parse_container_name(name)))
    if options.image is not None:
        options = dataclasses.replace(options, image=pull_typed(session, options.image))
    return dataclasses.replace(options, name=name)


def _choose_gpus(session: Session, options: CreateOptions) -> CreateOptions:
    """Ask for GPU or CPU and how many, until the container would not be refused. Raises Abort if the user gives up."""
    options = _ask_gpus(session, options)
    image = options.image or f"ds01-{session.owner.uid}/{options.name}"
    possible = resolve_refusal(session, options, image, fallback="not at all")
    if possible is None:
        session.say("Nothing was created.")
        raise click.Abort
    return possible


def _ask_gpus(session: Session, options: CreateOptions) -> CreateOptions:
    if options.cpu_only or (options.gpus, options.gpu_type, options.profile) != (None, None, None):
        return options
    explain(session, "gpu", name=options.name or "")
    if prompts.choose("GPU or CPU?", ["with a GPU", "CPU only"]) == 1:
        return dataclasses.replace(options, cpu_only=True)
    maximum = _max_gpus(session)
    if maximum is not None and maximum <= 1:
        return options
    return dataclasses.replace(options, gpus=prompts.ask_number("How many GPUs?", maximum=maximum))


def _max_gpus(session: Session) -> int | None:
    """Return how many GPUs a container can have, by the policy and by what the server has of one kind."""
    maximum = session.run(GetLimits(owner=session.owner.uid)).limits.limits.max_gpus_per_container
    kinds = Counter((slot.kind, slot.profile) for slot in session.run(GetGpuStatus()).present)
    available = max(kinds.values(), default=0)
    return available if maximum is None else min(maximum, available)


def _new_name_check(session: Session) -> Callable[[str], None]:
    """Return a check for a typed name: well formed, and not that of a container of the owner."""
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    state_by_name = {view.name: view.state for view in views}

    def check(text: str) -> None:
        name = parse_container_name(text)
        if name in state_by_name:
            raise UsageError(f"you already have a container {name}", why=f"its state is {state_by_name[name]}")

    return check


def _image_from_project_file(session: Session, project_image: ProjectImage) -> ImageChoice | None:
    """Return the image that a project's file names; None if it is an image of the owner that is not built."""
    if project_image.framework is not None:
        if not catalogues.is_known(project_image.framework):
            return None
        session.say(f"The image is {project_image.framework}, as {project_image.file} says.")
        return _framework_image(session, project_image.framework)
    image = project_image.image or ""
    if image.startswith("ds01-") and not session.run(HasImage(image)):
        return None
    session.say(f"The image is {image}, as {project_image.file} says.")
    return image, None


def _ask_image(session: Session, name: str | None) -> ImageChoice:
    """Ask for the image: one of the owner's, one to build now, a framework's newest, or any other."""
    own_images = [view.reference for view in session.run(ListImages(session.owner.uid))]
    frameworks = catalogues.fitting_frameworks(session)
    framework_choices = [f"{framework} (framework, the newest)" for framework in frameworks]
    choices = [*own_images, "build one, step by step", *framework_choices, "another, by its name"]
    chosen = prompts.choose("Which image?", choices)
    if chosen < len(own_images):
        return own_images[chosen], None
    if chosen == len(own_images):
        return _build_new_image(session, name), None
    if chosen <= len(own_images) + len(frameworks):
        return _framework_image(session, frameworks[chosen - len(own_images) - 1])
    return prompts.ask_text("Image", check=_check_image_name), None


def _build_new_image(session: Session, name: str | None) -> str:
    """Build an image now with image-create's questions; return its reference. `name`: its name, if known."""
    from ds01.cli.image import workflow
    from ds01.cli.image.options import ImageOptions

    options = workflow.complete_options(session, ImageOptions(name=name))
    place = workflow.write_source(session, options)
    return workflow.build(session, options.name or "", place)


def _framework_image(session: Session, text: str) -> ImageChoice:
    entry = catalogues.choose(session, text)
    return entry.image, entry.label


def _own_image_name(session: Session, image: str | None) -> str | None:
    """Return the name of one of the owner's images, as the default for the container's name."""
    prefix = f"ds01-{session.owner.uid}/"
    return image.removeprefix(prefix).partition(":")[0] if image and image.startswith(prefix) else None


def _check_image_name(reference: str) -> str:
    if not is_reference(reference):
        raise UsageError(f"'{reference}' is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")
    return reference
