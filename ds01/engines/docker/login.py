"""Get registry logins for pulls and builds from the caller's Docker configuration and its credential helpers.

The SDK's reader is not used: it decodes the file when a client is created, and one bad entry fails every request.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from ds01.dataclass import dataclass
from ds01.engines.engine_errors import one_line
from ds01.engines.references import DOCKER_HUB, registry_of
from ds01.errors import Ds01Error
from ds01.system import programs
from ds01.system.docker_config import ConfigProblem, DockerConfig, RegistryLogin

_DOCKER_HUB_KEY = "https://index.docker.io/v1/"  # under which the Docker CLI and dockerd store Docker Hub's login
_HELPER_TIMEOUT = 20.0  # seconds; a helper that waits for a locked key ring would hang forever
_TOKEN_USER = "<token>"  # noqa: S105  marks the secret as an identity token
_NOT_FOUND = "credentials not found"

RunHelper = Callable[[str, str, str], str]  # helper, verb, input -> its output


@dataclass(frozen=True)
class Headers:
    """Headers of a request to dockerd, and warnings about unusable parts of the configuration."""

    values: dict[str, str]
    warnings: tuple[str, ...] = ()


def pull_headers(config: DockerConfig, repository: str, *, run_helper: RunHelper | None = None) -> Headers:
    """Return the header with the login for a repository's registry, if the configuration has one."""
    registry = registry_of(repository)
    run_helper = run_helper or _run_helper
    problems = [
        problem
        for problem in config.problems
        if problem.logins and (problem.registry is None or _registry_host(problem.registry) == registry)
    ]
    login = None
    helper = next((name for key, name in config.helpers.items() if _registry_host(key) == registry), config.store)
    if helper is not None:
        login = _login_from_helper(helper, _config_key(registry), run_helper, problems)
    if login is None:
        login = next((login for key, login in config.logins.items() if _registry_host(key) == registry), None)
    values = {} if login is None else {"X-Registry-Auth": _encode(_as_json(login, _config_key(registry)))}
    return Headers(values, _warnings(config, problems))


def build_headers(config: DockerConfig, *, run_helper: RunHelper | None = None) -> Headers:
    """Return the header with all logins, since a build may need any registry. Warnings about proxies are included."""
    run_helper = run_helper or _run_helper
    problems = list(config.problems)
    logins = {_config_key(_registry_host(registry)): login for registry, login in config.logins.items()}
    helpers = dict(config.helpers)
    if config.store is not None:
        stored = _stored_registries(config.store, run_helper, problems)
        helpers = dict.fromkeys(stored, config.store) | helpers
    for registry, helper in helpers.items():
        key = _config_key(_registry_host(registry))
        login = _login_from_helper(helper, registry if helper == config.store else key, run_helper, problems)
        if login is not None:
            logins[key] = login
    logins_by_registry = {registry: _as_json(login, registry) for registry, login in logins.items()}
    return Headers(
        {"X-Registry-Config": _encode(logins_by_registry)} if logins_by_registry else {}, _warnings(config, problems)
    )


def _login_from_helper(
    helper: str, key: str, run_helper: RunHelper, problems: list[ConfigProblem]
) -> RegistryLogin | None:
    try:
        answer = json.loads(run_helper(helper, "get", key))
        user, secret = answer["Username"], answer["Secret"]
        if not (isinstance(user, str) and isinstance(secret, str)):
            raise TypeError("its answer holds no texts")
    except Ds01Error as error:
        if _NOT_FOUND not in (error.why or "").lower():
            problems.append(_helper_problem(helper, error))
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        problems.append(ConfigProblem(f"docker-credential-{helper} gave an unreadable login for {key}"))
        return None
    return RegistryLogin(token=secret) if user == _TOKEN_USER else RegistryLogin(user, secret)


def _stored_registries(helper: str, run_helper: RunHelper, problems: list[ConfigProblem]) -> list[str]:
    try:
        return [registry for registry in dict(json.loads(run_helper(helper, "list", ""))) if isinstance(registry, str)]
    except Ds01Error as error:
        problems.append(_helper_problem(helper, error))
    except (ValueError, TypeError, RecursionError):
        problems.append(ConfigProblem(f"docker-credential-{helper} gave an unreadable list of logins"))
    return []


def _helper_problem(helper: str, error: Ds01Error) -> ConfigProblem:
    absent = (error.data or {}).get("problem") == "not_found"
    if absent:
        return ConfigProblem(f"it names the credential helper docker-credential-{helper}, which is not installed")
    return ConfigProblem(f"the credential helper {one_line(f'{error.message}: {error.why}')}")


def _run_helper(helper: str, verb: str, stdin_text: str) -> str:
    return programs.run([f"docker-credential-{helper}", verb], stdin=stdin_text, timeout=_HELPER_TIMEOUT)


def _registry_host(registry: str) -> str:
    """Return the host of a registry, whose key can be an address or a bare name."""
    host = registry.partition("://")[2] or registry
    host = host.partition("/")[0]
    return DOCKER_HUB if host in (DOCKER_HUB, f"index.{DOCKER_HUB}") else host


def _config_key(host: str) -> str:
    return _DOCKER_HUB_KEY if host == DOCKER_HUB else host


def _as_json(login: RegistryLogin, registry: str) -> dict[str, Any]:
    if login.token is not None:
        return {"identitytoken": login.token, "serveraddress": registry}
    return {"username": login.user, "password": login.password, "serveraddress": registry}


def _encode(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def _warnings(config: DockerConfig, problems: list[ConfigProblem]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{config.path}: {problem.text}" for problem in problems))
