"""Get the facts about a new container's image: from the state directory, or from the engine if it is not known yet."""

from __future__ import annotations

import io
import tarfile
from functools import partial

from ds01.engines.protocol import Engine, EngineContainer, EngineImage
from ds01.lifecycle.spec.image_facts import gather
from ds01.records.image_facts import ImageFacts
from ds01.records.store.known_images import KnownImages


def facts_of(
    engine: Engine, known_images: KnownImages, container: EngineContainer, image: EngineImage
) -> tuple[ImageFacts, bool]:
    """Return the facts about the image of a container in which nothing was changed yet, and whether they are new.

    `image`: the one that was asked for, with the variables that the container got. Its tag may have moved to another
    image since, so facts are looked up under the id of the container's image. `remember` stores new ones.
    """
    known = known_images.get(container.image_id)
    if known is not None:
        return known, False
    stat = partial(engine.path_status, container.id)
    return gather(image.environment, partial(_read_file, engine, container.id), stat), True


def remember(known_images: KnownImages, container: EngineContainer, image: EngineImage, facts: ImageFacts) -> None:
    """Store new facts, unless `image` with its variables is not the container's image.

    To be called after another call for the container has succeeded: the engine reports the files of a container that is
    gone as missing, and an image would be known as one without them.
    """
    if container.image_id == image.id:
        known_images.put(image.id, facts)


def _read_file(engine: Engine, container_id: str, path: str) -> bytes | None:
    content = engine.get_archive(container_id, path)
    if content is None:
        return None
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for entry in tar:
            file = tar.extractfile(entry) if entry.isreg() else None
            return file.read() if file is not None else b""
    return b""
