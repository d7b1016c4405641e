from __future__ import annotations

import pytest

from ds01.engines.engine_errors import error_from_response
from ds01.errors import EngineConflict, EngineNotFound, EngineRejected


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (404, "No such container: x", EngineNotFound),
        (404, "no such image: foo:latest: No such image: foo:latest", EngineNotFound),
        (404, "No such exec instance: 00", EngineNotFound),
        (404, "network ds01 not found", EngineRejected),
        (404, "Could not find the file /nope in container 12", EngineRejected),
        (409, "Container 12 is not running", EngineConflict),
        (500, "Container 12 is not paused", EngineConflict),
        (500, "No such container: x", EngineRejected),
        (400, "No command specified", EngineRejected),
        (None, "?", EngineRejected),
    ],
)
def test_an_answer_is_an_error_of_its_kind_with_dockers_words(
    status: int | None, words: str, kind: type[Exception]
) -> None:
    error = error_from_response(status, words, "start the container")
    assert type(error) is kind and error.why == words


def test_words_are_one_line_of_bounded_length() -> None:
    error = error_from_response(500, "OCI runtime\n  create failed:\tx " + "y" * 5000, "start the container")
    assert error.message == "Docker could not start the container"
    assert error.why is not None and error.why.startswith("OCI runtime create failed: x y") and len(error.why) < 700


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("write /var/lib/docker/x: no space left on device", "docker system df"),
        ('could not select device driver "" with capabilities: [[gpu]]', "NVIDIA Container Toolkit"),
        ("nvidia-container-cli: device error: MIG-1: unknown device: unknown", "ds01 doctor"),
        ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=MIG-1", "nvidia-ctk cdi generate"),
        ("error modifying OCI spec: failed to inject CDI devices: unresolvable CDI devices MIG-1", "MIG layout"),
        ("failed to discover GPU vendor from CDI: no known GPU vendor found", "nvidia-ctk cdi generate"),
        ("Bind for 127.0.0.1:8888 failed: port is already allocated", "Choose another"),
    ],
)
def test_what_has_a_known_remedy_says_it(words: str, hint: str) -> None:
    assert hint in (error_from_response(500, words, "start the container").hint or "")
