"""The environment of a new container: `-e` variables, and the proxies of the owner's Docker configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ds01.cli.session import Session
from ds01.errors import Ds01Error, UsageError
from ds01.policy import variables
from ds01.system.docker_config import FILE_NAME, DockerConfig, parse_config, read_config


def build_environment(session: Session, arguments: Sequence[str]) -> dict[str, str]:
    """Return the variables by name; the last value of a repeated name wins. Raises UsageError."""
    explicit = dict(_parse_variable(text) for text in arguments)
    return read_proxies(session) | explicit


def read_proxies(session: Session) -> dict[str, str]:
    """Return the proxy variables that the Docker CLI would set for the owner; warn about unusable ones."""
    config = _read_docker_config(session)
    for problem in config.problems:
        if problem.proxies:
            session.warn(f"{config.path}: {problem.text}")
    return config.proxy_variables(f"unix://{session.settings.docker_socket}")


def _read_docker_config(session: Session) -> DockerConfig:
    """Read the owner's file, never the administrator's: its proxies may contain a password."""
    if os.geteuid() == session.owner.uid:
        # Without HOME and without an entry in the user database, `~` stays as it is.
        home = Path(os.path.expanduser("~"))  # noqa: PTH111  Path.home() raises there
        directory = session.settings.docker_config or (home if home.is_absolute() else session.home.path) / ".docker"
        return read_config(Path(directory) / FILE_NAME)
    try:
        path = session.home.path / ".docker" / FILE_NAME
        content = session.home.read(path)
    except Ds01Error:
        return DockerConfig()  # the caller may not read the owner's home, so there is nothing to warn about
    return DockerConfig() if content is None else parse_config(content, path)


def _parse_variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    hint = "`-e NAME=VALUE`"
    if not equals:
        raise UsageError(f"-e {text!r} has no value", hint=hint)
    if not variables.NAME_PATTERN.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the name of a variable", why=f"allowed: {variables.NAME_FORM}", hint=hint)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the value of {name} is not UTF-8", hint=hint) from None
    return name, value
