"""Which image a new container gets: by the options, by its name, or asked for on a terminal."""

from __future__ import annotations

import dataclasses

from ds01.cli import ask, catalogues
from ds01.cli.container.asked import Asked, folded_name
from ds01.cli.guide import explain
from ds01.cli.options import typed
from ds01.cli.session import Session
from ds01.engines.references import well_formed
from ds01.errors import NotFound, WrongUse
from ds01.images.catalogue import is_framework, lookup

Chosen = tuple[str, str | None]  # the image's reference, and the framework's label if it is one


def image(session: Session, asked: Asked, name: str) -> Chosen:
    """The image for the container `name`. The order is the contract's. Raises NotFound, WrongUse."""
    if asked.image is not None:
        return _checked(asked.image), None
    if asked.framework is not None:
        return _framework(session, asked.framework)
    own = f"ds01-{session.owner.uid}"
    if asked.what is not None:
        if is_framework(catalogues.frameworks(), asked.what):
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
        return _ask_image(session, asked.project or name)
    raise NotFound(
        f"which image shall {name} have?",
        why=f"there is no {default}",
        hint=f"--image IMAGE, --framework pytorch, or a second word: {typed()} {name} pytorch",
    )


def wizard(session: Session, asked: Asked) -> Asked:
    """Asks for what was not said: image, name, GPU or CPU, how many."""
    if (asked.what, asked.image, asked.framework) == (None, None, None):
        explain(session, "image")
        reference, framework = _ask_image(session, asked.project)
        asked = dataclasses.replace(asked, image=None if framework else reference, framework=framework)
    suggested = asked.project or _own_name(session, asked.image)
    name = ask.text("Name of the container", default=suggested, check=folded_name)
    asked = dataclasses.replace(asked, name=name)
    if asked.cpu_only or (asked.gpus, asked.gpu_type, asked.profile) != (None, None, None):
        return asked
    explain(session, "gpu", name=folded_name(name))
    if ask.choose("GPU or CPU?", ["with a GPU", "CPU only"]) == 1:
        return dataclasses.replace(asked, cpu_only=True)
    most = session.gate.limits(session.actor, owner=session.owner.uid).limits.limits.max_gpus_per_container
    if most is not None and most <= 1:
        return asked
    return dataclasses.replace(asked, gpus=ask.number("How many GPUs?", most=most))


def _ask_image(session: Session, name: str | None) -> Chosen:
    """An image of one's own, one that is built now, a framework in its newest version, or any other."""
    own = session.gate.own_images(session.actor, owner=session.owner.uid)
    frameworks = catalogues.frameworks().frameworks
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
    entry = lookup(catalogues.frameworks(), text, catalogues.architecture(session))
    return entry.image, entry.label


def _own_name(session: Session, image: str | None) -> str | None:
    """The name of an image of one's own: a container of it is mostly called the same."""
    prefix = f"ds01-{session.owner.uid}/"
    return image.removeprefix(prefix).partition(":")[0] if image and image.startswith(prefix) else None


def _checked(reference: str) -> str:
    if not well_formed(reference):
        raise WrongUse(f"'{reference}' is no name of an image", why="it has the form [HOST/]NAME[:TAG], in lower case")
    return reference
