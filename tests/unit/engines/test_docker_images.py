from __future__ import annotations

import pytest

from ds01.engines.answers import pull_error
from ds01.engines.docker_images import read_progress
from ds01.engines.protocol import Progress
from ds01.errors import EngineAbsent, EngineRejected


@pytest.mark.parametrize(
    "words",
    [
        "pull access denied for nope, repository does not exist or may require 'docker login': denied",
        "manifest for python:99 not found: manifest unknown: manifest unknown",
        "manifest unknown",
        "unauthorized: authentication required",
    ],
)
def test_an_image_that_is_not_given_is_absent(words: str) -> None:
    error = pull_error("nope", words)
    assert isinstance(error, EngineAbsent) and error.why == words and "docker login" in (error.hint or "")


@pytest.mark.parametrize(
    "words",
    [
        'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
        "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
        "read tcp 10.0.0.1:4->1.2.3.4:443: read: connection reset by peer",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "unexpected EOF",
    ],
)
def test_a_registry_out_of_reach_is_a_matter_of_the_network(words: str) -> None:
    error = pull_error("python", words)
    assert isinstance(error, EngineRejected) and error.data == {"problem": "network"} and error.hint


def test_a_full_disk_and_a_limit_say_what_to_do() -> None:
    full = pull_error("a", "write /var/lib/docker/tmp/x: no space left on device")
    assert isinstance(full, EngineRejected) and "docker system df" in (full.hint or "")
    limited = pull_error("a", "toomanyrequests: You have reached your pull rate limit.")
    assert limited.data == {"problem": "limit"} and "docker login" in (limited.hint or "")


def test_progress_lines() -> None:
    line = {"status": "Downloading", "id": "ab12", "progressDetail": {"current": 5, "total": 9}, "progress": "[=> ]"}
    assert read_progress("a", line) == Progress("ab12", "Downloading", 5, 9)
    assert read_progress("a", {"status": "Pulling from a"}) == Progress("", "Pulling from a")
    with pytest.raises(EngineAbsent):
        read_progress("a", {"error": "manifest unknown", "errorDetail": {"message": "manifest unknown"}})
