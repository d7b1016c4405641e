"""Which image a new container gets: by the options, by its name, or asked for on a terminal."""

from __future__ import annotations

import dataclasses
from functools import cache

import click

from ds01.cli import ask
from ds01.cli.container.asked import Asked, folded_name
from ds01.cli.guide import explain
from ds01.cli.session import Session
from ds01.engines.references import well_formed
from ds01.errors import NotFound, WrongUse
from ds01.images.catalogue import Catalogue, architecture_of, is_framework, load, lookup
from ds01.system.settings import config_file

Chosen = tuple[str, str | None]  # the image's reference, and the framework's label if it is one


@cache
def catalogue() -> Catalogue:
    """The frameworks that ds01 knows."""
    return load(config_file("images.yaml"))


def image(session: Session, asked: Asked, name: str) -> Chosen:
    """The image for the container `name`. The order is the contract's. Raises NotFound, WrongUse."""
    if asked.image is not None:
        return _checked(asked.image), None
    if asked.framework is not None:
        return _framework(session, asked.framework)
    own = f"ds01-{session.owner.uid}"
    if asked.what is not None:
        if is_framework(catalogue(), asked.what):
            return _framework(session, asked.what)
        for reference in (f"{own}/{asked.what}", asked.what):
            if well_formed(reference) and session.gate.image_is_there(session.actor, reference):
                return reference, None
        raise NotFound(
            f"{asked.what} is no framework and no image on this server",
            why=f"looked for {own}/{asked.what} and {asked.what}",
            hint=f"--image {asked.what} fetches it from a registry",
        )
    default = f"{own}/{asked.project or name}"
    if well_formed(default) and session.gate.image_is_there(session.actor, default):
        return default, None
    if session.interactive:
        return _ask_image(session)
    raise NotFound(
        f"which image shall {name} have?",
        why=f"there is no {default}",
        hint="--image IMAGE, --framework pytorch, or a second word: container-deploy NAME pytorch",
    )


def wizard(session: Session, asked: Asked) -> Asked:
    """Asks for what was not said: image, name, GPU or CPU, how many."""
    if (asked.what, asked.image, asked.framework) == (None, None, None):
        explain(session, "image")
        reference, framework = _ask_image(session)
        asked = dataclasses.replace(asked, image=None if framework else reference, framework=framework)
    name = ask.text("Name of the container", default=asked.project, check=folded_name)
    asked = dataclasses.replace(asked, name=name)
    if asked.cpu_only or (asked.gpus, asked.gpu_type, asked.profile) != (None, None, None):
        return asked
    explain(session, "gpu", name=folded_name(name))
    if ask.choose("GPU or CPU?", ["with a GPU", "CPU only"]) == 1:
        return dataclasses.replace(asked, cpu_only=True)
    most = session.gate.limits(session.actor, owner=session.owner.uid).limits.limits.max_gpus_per_container
    if most is not None and most <= 1:
        return asked
    return dataclasses.replace(asked, gpus=click.prompt("How many GPUs?", type=click.IntRange(1, most), default=1))


def _ask_image(session: Session) -> Chosen:
    """An image of one's own, a framework in its newest version, or any other."""
    own = session.gate.own_images(session.actor, owner=session.owner.uid)
    frameworks = catalogue().frameworks
    choices = [*own, *(f"{framework} (framework, the newest)" for framework in frameworks), "another, by its name"]
    chosen = ask.choose("Which image?", choices)
    if chosen < len(own):
        return own[chosen], None
    if chosen < len(own) + len(frameworks):
        return _framework(session, frameworks[chosen - len(own)])
    return ask.text("Image", check=_checked), None


def _framework(session: Session, text: str) -> Chosen:
    gpus = session.gate.gpu_models(session.actor)
    found = {architecture_of(model) for model in gpus}
    entry = lookup(catalogue(), text, found.pop() if len(found) == 1 else None)
    return entry.image, entry.label


def _checked(reference: str) -> str:
    if not well_formed(reference):
        raise WrongUse(f"'{reference}' is no name of an image", why="it has the form [HOST/]NAME[:TAG], in lower case")
    return reference
