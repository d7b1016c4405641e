"""Which image a new container gets: by the options, by its name, or asked for on a terminal."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable

import click

from ds01.api.containers import ListContainers
from ds01.api.images import HasImage, ListImages
from ds01.api.server import GetGpuStatus, GetLimits
from ds01.cli import ask, catalogues
from ds01.cli.container.asked import Asked, folded_name, folder
from ds01.cli.container.project_image import Stated, stated_image
from ds01.cli.container.refusing import settle
from ds01.cli.guide import explain
from ds01.cli.options import typed
from ds01.cli.pulling import fetch_typed
from ds01.cli.session import Session
from ds01.engines.references import is_reference
from ds01.errors import NotFound, WrongUse
from ds01.records.request import ContainerRequest

Chosen = tuple[str, str | None]  # the image's reference, and the framework's label if it is one


def image(session: Session, asked: Asked, name: str, before: ContainerRequest | None = None) -> Chosen:
    """Return the image for the container `name`, in the documented order. Raises NotFound, WrongUse.

    `before`: the request of the removed container of this name.
    """
    own = f"ds01-{session.owner.uid}"
    if asked.image is not None:
        mine = f"{own}/{asked.image}"
        is_mine = is_reference(mine) and session.run(HasImage(mine))
        return mine if is_mine else _checked(asked.image), None
    if asked.framework is not None:
        return _framework(session, asked.framework)
    if asked.what is not None:
        if catalogues.is_known(asked.what):
            return _framework(session, asked.what)
        for reference in (f"{own}/{asked.what}", asked.what):
            if is_reference(reference) and session.run(HasImage(reference)):
                return reference, None
        raise NotFound(
            f"{asked.what} is neither a framework nor an image on this server",
            why=f"looked for {own}/{asked.what} and {asked.what}",
            hint=f"`--image {asked.what}` fetches it from a registry",
        )
    project = asked.project or name
    default = f"{own}/{project}"
    if is_reference(default) and session.run(HasImage(default)):
        return default, None
    stated = stated_image(session, project, folder(session, asked.workspace))
    if stated is not None and (chosen := _stated(session, stated)) is not None:
        return chosen
    if before is not None:
        return before.image, before.framework
    if session.interactive:
        chosen = _ask_image(session, project)
        return (chosen[0], chosen[1]) if chosen[1] is not None else (fetch_typed(session, chosen[0]), None)
    raise NotFound(
        f"no image was named for {name}",
        why=f"there is no {default}",
        hint=f"`--image IMAGE`, `--framework pytorch`, or a second word: `{typed()} {name} pytorch`;\n"
        f"`image-create {project}` builds one of your own",
    )


def wizard(session: Session, asked: Asked) -> Asked:
    """Asks for what was not said: image, name, GPU or CPU, how many."""
    if (asked.what, asked.image, asked.framework) == (None, None, None):
        explain(session, "image")
        reference, framework = _ask_image(session, asked.project)
        asked = dataclasses.replace(asked, image=None if framework else reference, framework=framework)
    suggested = asked.project or _own_name(session, asked.image)
    name = ask.text("Name of the container", default=suggested, check=_free_name(session))
    asked = _gpus(session, dataclasses.replace(asked, name=folded_name(name)))
    if asked.image is not None:
        asked = dataclasses.replace(asked, image=fetch_typed(session, asked.image))
    return dataclasses.replace(asked, name=name)


def _gpus(session: Session, asked: Asked) -> Asked:
    """Ask for GPU or CPU and how many, until the container would not be refused. Abort gives it up."""
    asked = _ask_gpus(session, asked)
    image = asked.image or f"ds01-{session.owner.uid}/{asked.name}"
    settled = settle(session, asked, image, instead="not at all")
    if settled is None:
        session.say("Nothing was made.")
        raise click.Abort
    return settled


def _ask_gpus(session: Session, asked: Asked) -> Asked:
    if asked.cpu_only or (asked.gpus, asked.gpu_type, asked.profile) != (None, None, None):
        return asked
    explain(session, "gpu", name=asked.name or "")
    if ask.choose("GPU or CPU?", ["with a GPU", "CPU only"]) == 1:
        return dataclasses.replace(asked, cpu_only=True)
    most = _most_gpus(session)
    if most is not None and most <= 1:
        return asked
    return dataclasses.replace(asked, gpus=ask.number("How many GPUs?", most=most))


def _most_gpus(session: Session) -> int | None:
    """How many GPUs a container can have: by the policy, and by what the server has of one kind."""
    most = session.run(GetLimits(owner=session.owner.uid)).limits.limits.max_gpus_per_container
    kinds = Counter((slot.kind, slot.profile) for slot in session.run(GetGpuStatus()).present)
    there = max(kinds.values(), default=0)
    return there if most is None else min(most, there)


def _free_name(session: Session) -> Callable[[str], None]:
    """Return a check for a typed name: well formed, and not that of a container of the owner."""
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    taken = {view.name: view.state for view in views}

    def check(text: str) -> None:
        name = folded_name(text)
        if name in taken:
            raise WrongUse(f"there is a container {name} already", why=f"it is {taken[name]}")

    return check


def _stated(session: Session, stated: Stated) -> Chosen | None:
    """The image that a project's file names; None if it is one of the owner's own that was not built."""
    if stated.framework is not None:
        if not catalogues.is_known(stated.framework):
            return None
        session.say(f"The image is {stated.framework}, as {stated.file} says.")
        return _framework(session, stated.framework)
    image = stated.image or ""
    if image.startswith("ds01-") and not session.run(HasImage(image)):
        return None
    session.say(f"The image is {image}, as {stated.file} says.")
    return image, None


def _ask_image(session: Session, name: str | None) -> Chosen:
    """An image of one's own, one that is built now, a framework in its newest version, or any other."""
    own = [view.reference for view in session.run(ListImages(session.owner.uid))]
    frameworks = catalogues.fitting_frameworks(session)
    named = [f"{framework} (framework, the newest)" for framework in frameworks]
    choices = [*own, "build one, step by step", *named, "another, by its name"]
    chosen = ask.choose("Which image?", choices)
    if chosen < len(own):
        return own[chosen], None
    if chosen == len(own):
        return _built(session, name), None
    if chosen <= len(own) + len(frameworks):
        return _framework(session, frameworks[chosen - len(own) - 1])
    return ask.text("Image", check=_checked), None


def _built(session: Session, name: str | None) -> str:
    """An image that is made now, by image-create's questions; its name is the container's if that is known."""
    from ds01.cli.image import making
    from ds01.cli.image.asked import Asked as AskedImage

    asked = making.complete(session, AskedImage(name=name))
    place = making.write_source(session, asked)
    return making.build(session, asked.name or "", place)


def _framework(session: Session, text: str) -> Chosen:
    entry = catalogues.choose(session, text)
    return entry.image, entry.label


def _own_name(session: Session, image: str | None) -> str | None:
    """The name of an image of one's own: a container of it is mostly called the same."""
    prefix = f"ds01-{session.owner.uid}/"
    return image.removeprefix(prefix).partition(":")[0] if image and image.startswith(prefix) else None


def _checked(reference: str) -> str:
    if not is_reference(reference):
        raise WrongUse(f"'{reference}' is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")
    return reference
