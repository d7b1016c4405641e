from __future__ import annotations

import pytest

from ds01.engines.docker.images import read_progress
from ds01.engines.protocol import Progress
from ds01.engines.pull_errors import pull_error
from ds01.errors import EngineNotFound, EngineRejected


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
    assert isinstance(error, EngineNotFound) and error.why == words and "docker login" in (error.hint or "")


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


@pytest.mark.parametrize(
    "words",
    [
        "denied: denied",
        "error parsing HTTP 403 response body: invalid character '<' looking for beginning of value",
        "denied: requested access to the resource is denied",
        "error from registry: access forbidden",
        "pull access denied, repository does not exist: server message: insufficient_scope: authorization failed",
        'Head "https://ghcr.io/v2/lab/private/manifests/latest": unauthorized',
        "no basic auth credentials",
        "received unexpected HTTP status: 403 Forbidden",
    ],
)
def test_denied_registry_is_named_in_the_login_command(words: str) -> None:
    error = pull_error("ghcr.io/lab/private:latest", words)
    assert isinstance(error, EngineNotFound) and "`docker login ghcr.io`" in (error.hint or "")


def test_a_login_that_the_registry_refuses_is_no_missing_image() -> None:
    error = pull_error("reg.lab:5000/x", "unauthorized: incorrect username or password")
    assert type(error) is EngineRejected and "`docker login reg.lab:5000`" in (error.hint or "")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ('Get "https://reg.lab:5000/v2/": http: server gave HTTP response to HTTPS client', "insecure-registries"),
        ('Get "https://reg.lab:5000/v2/": tls: first record does not look like a TLS handshake', "insecure-registries"),
        ("x509: certificate signed by unknown authority", "/etc/docker/certs.d/reg.lab:5000/ca.crt"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "ca.crt"),
        ("x509: certificate is valid for registry.lab, not reg.lab", "another name"),
        ("x509: cannot validate certificate for 10.0.0.7 because it doesn't contain any IP SANs", "another name"),
        ("x509: certificate has expired or is not yet valid: current time 2026-01-01", "clock"),
        ("remote error: tls: certificate required", "client.cert"),
        ("proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused", "proxy"),
        ("received unexpected HTTP status: 503 Service Unavailable", "cannot reach"),
    ],
)
def test_connection_problems_have_their_own_hints(words: str, hint: str) -> None:
    error = pull_error("reg.lab:5000/team/image:1", words)
    assert type(error) is EngineRejected and error.data == {"problem": "network"} and hint in (error.hint or "")


def test_a_ca_between_here_and_docker_hub_is_no_private_registry() -> None:
    hint = pull_error("python", "x509: certificate signed by unknown authority").hint or ""
    assert "certs.d" not in hint and "update-ca-certificates" in hint


def test_an_image_for_other_processors_is_not_missing() -> None:
    words = "no matching manifest for linux/arm64/v8 in the manifest list entries: no match for platform: not found"
    assert pull_error("a", words).data == {"problem": "platform"}


def test_a_denial_of_this_machine_is_none_of_the_registry() -> None:
    words = "failed to register layer: open /var/lib/docker/x: permission denied"
    assert type(pull_error("a", words)) is EngineRejected


def test_a_full_disk_and_a_limit_say_what_to_do() -> None:
    full = pull_error("a", "write /var/lib/docker/tmp/x: no space left on device")
    assert isinstance(full, EngineRejected) and "docker system df" in (full.hint or "")
    limited = pull_error("a", "toomanyrequests: You have reached your pull rate limit.")
    assert limited.data == {"problem": "limit"} and "docker login" in (limited.hint or "")


def test_progress_lines() -> None:
    line = {"status": "Downloading", "id": "ab12", "progressDetail": {"current": 5, "total": 9}, "progress": "[=> ]"}
    assert read_progress("a", line) == Progress("ab12", "Downloading", 5, 9)
    assert read_progress("a", {"status": "Pulling from a"}) == Progress("", "Pulling from a")
    with pytest.raises(EngineNotFound):
        read_progress("a", {"error": "manifest unknown", "errorDetail": {"message": "manifest unknown"}})
