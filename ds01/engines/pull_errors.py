"""Recognise known problems in Docker's messages about failed pulls, and give a hint for each."""

from __future__ import annotations

import re

from ds01.dataclass import dataclass
from ds01.engines.engine_errors import DISK_FULL, one_line
from ds01.engines.references import DOCKER_HUB, registry_of, split_reference
from ds01.errors import Ds01Error, EngineNotFound, EngineRejected

DAEMON_FILE = "/etc/docker/daemon.json"
ABSENT = "absent"
NETWORK_PROBLEM = "network"


@dataclass(frozen=True)
class _PullProblem:
    """A problem: how to recognise it in Docker's message (in lower case), and what to do about it.

    In the hint `REGISTRY` is the registry's host and `LOGIN` the command that logs in there.
    """

    problem: str
    pattern: str  # compiled when a pull fails
    hint: str
    hub_hint: str | None = None  # replaces the hint for Docker Hub


# The first match counts: Docker wraps the cause of a failed connection in several messages.
_PULL_PROBLEMS = (
    _PullProblem(
        NETWORK_PROBLEM,
        "server gave http response to https client|first record does not look like a tls handshake",
        "REGISTRY does not encrypt. An administrator who trusts it adds it to `insecure-registries` in "
        f"{DAEMON_FILE}, then `sudo systemctl reload docker`.",
    ),
    _PullProblem(
        NETWORK_PROBLEM,
        "certificate signed by unknown authority|certificate is not trusted",
        "The certificate of REGISTRY is signed by a CA that this server does not know. An administrator saves that "
        "CA's certificate as /etc/docker/certs.d/REGISTRY/ca.crt; Docker needs no restart.",
        "Something between this server and Docker Hub signs with a CA of its own, as proxies of companies do. An "
        "administrator adds that CA with `update-ca-certificates`, then `sudo systemctl restart docker`.",
    ),
    _PullProblem(
        NETWORK_PROBLEM,
        "certificate is valid for|doesn't contain any ip sans|legacy common name|not valid for any names",
        "The certificate is for another name than REGISTRY: use the name in the certificate.",
    ),
    _PullProblem(
        NETWORK_PROBLEM,
        "certificate has expired|not yet valid",
        "The certificate of REGISTRY has expired, or this server's clock is wrong: see `timedatectl`.",
    ),
    _PullProblem(
        NETWORK_PROBLEM,
        "tls: certificate required|tls: bad certificate",
        "REGISTRY asks for a client certificate: an administrator saves client.cert and client.key in "
        "/etc/docker/certs.d/REGISTRY.",
    ),
    _PullProblem(
        "limit",
        "toomanyrequests|too many requests",
        "The registry limits the number of pulls: wait an hour, or run `LOGIN` to get a limit of your own.",
    ),
    _PullProblem(
        NETWORK_PROBLEM,
        r"dial tcp|no such host|timeout|connection re|tls:|x509|deadline exceeded|unexpected eof|: eof"
        r"|server misbehaving|network is unreachable|proxyconnect|proxy authentication required|http status: 5\d\d",
        "Docker cannot reach the registry. `ds01 doctor` says more; a proxy is set in Docker's service.",
    ),
    _PullProblem(
        "platform",
        "no matching manifest|no match for platform|does not match the specified platform",
        "The registry has this image only for other processors: choose another tag.",
    ),
    _PullProblem(
        "login",
        "incorrect username or password|invalid username/password|bad credentials|token expired",
        "The registry does not accept your stored login. Log in again: `LOGIN`.",
    ),
    # Registries say "denied" both for private and for missing images, so as not to reveal which.
    # "permission denied" is this machine's.
    _PullProblem(
        ABSENT,
        r"manifest unknown|not found|does not exist|name unknown|(?<!permission )denied|unauthorized|forbidden"
        r"|no basic auth credentials|http 40[13]\b|authentication required|insufficient_scope|authorization failed",
        "Check the name. For a private image, run `LOGIN` first.",
    ),
    _PullProblem("disk", "no space left on device", DISK_FULL),
)


def pull_error(reference: str, words: str) -> Ds01Error:
    """Return why an image could not be fetched: EngineNotFound if the registry lacks or hides it."""
    words = one_line(words)
    kind = next((kind for kind in _PULL_PROBLEMS if re.search(kind.pattern, words.lower())), None)
    what = f"The image {reference} could not be fetched"
    if kind is None:
        return EngineRejected(what, why=words)
    registry = _registry(reference)
    login = "docker login" if registry == DOCKER_HUB else f"docker login {registry}"
    hint = kind.hub_hint if registry == DOCKER_HUB and kind.hub_hint else kind.hint
    hint = hint.replace("REGISTRY", registry).replace("LOGIN", login)
    if kind.problem == ABSENT:
        return EngineNotFound(f"The image {reference} was not found", why=words, hint=hint)
    return EngineRejected(what, why=words, hint=hint, data={"problem": kind.problem})


def _registry(reference: str) -> str:
    try:
        return registry_of(split_reference(reference)[0])
    except ValueError:
        return DOCKER_HUB
