"""Fetching images from a registry of this test's own."""

from __future__ import annotations

import pytest

from ds01.engines.docker.engine import DockerEngine
from ds01.errors import EngineNotFound, EngineRejected
from tests.docker.registry import Registry
from tests.wait import TIMEOUT

pytestmark = pytest.mark.docker


def test_an_image_is_fetched_with_its_progress(docker_engine: DockerEngine, registry: Registry) -> None:
    reference = f"{registry.address}/small:1"
    try:
        steps = list(docker_engine.pull(reference))
        assert any(step.text.startswith("Pulling from small") for step in steps)
        assert any(step.total for step in steps) and reference in steps[-1].text
        image = docker_engine.image(reference)
        assert image is not None and image.environment == {"A": "b"} and reference in image.tags
    finally:
        docker_engine.untag(reference)
    assert docker_engine.image(reference) is None


@pytest.mark.parametrize("name", ["small2:1", "private:1"])
def test_what_the_registry_does_not_give_is_absent(docker_engine: DockerEngine, registry: Registry, name: str) -> None:
    with pytest.raises(EngineNotFound) as caught:
        list(docker_engine.pull(f"{registry.address}/{name}"))
    assert caught.value.why and caught.value.hint and name in caught.value.message


def test_a_registry_that_is_not_there_is_a_matter_of_the_network(docker_engine: DockerEngine) -> None:
    with pytest.raises(EngineRejected) as caught:
        list(docker_engine.pull("127.0.0.1:1/small:1"))
    assert caught.value.data == {"problem": "network"} and caught.value.hint


def test_closing_the_iterator_cancels(docker_engine: DockerEngine, registry: Registry) -> None:
    reference = f"{registry.address}/slow:1"
    steps = docker_engine.pull(reference)
    next(steps)
    assert registry.asked_for_layer.wait(TIMEOUT)
    steps.close()
    registry.go_on.set()
    assert docker_engine.image(reference) is None
