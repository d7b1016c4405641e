"""Read the caller's Docker client configuration, `~/.docker/config.json`: logins and proxies.

Nothing in that file may fail a command: unusable entries are left out and described in `problems`.
"""

from __future__ import annotations

import base64
import binascii
import errno
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from ds01.dataclass import dataclass

FILE_NAME = "config.json"
LEGACY_FILE_NAME = ".dockercfg"  # holds only logins
MAX_CONFIG_BYTES = 1 << 20  # bytes; a hundred registries take a few KB
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # the end of a program's name, never a path
_PROXIES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",
}


@dataclass(frozen=True)
class RegistryLogin:
    """The login for one registry. `token` replaces user and password."""

    user: str = ""
    password: str = ""
    token: str | None = None


@dataclass(frozen=True)
class ConfigProblem:
    """An unusable entry of the file; `registry` None: it concerns all registries."""

    text: str
    registry: str | None = None
    logins: bool = True
    proxies: bool = False


@dataclass(frozen=True)
class DockerConfig:
    """The usable part of the file at `path` (None: no file). Registries are named as in the file."""

    path: Path | None = None
    logins: Mapping[str, RegistryLogin] = field(default_factory=dict)
    store: str | None = None  # docker-credential-STORE has the logins
    helpers: Mapping[str, str] = field(default_factory=dict)  # the same, by registry
    proxies: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by Docker host, or `default`
    problems: tuple[ConfigProblem, ...] = ()

    def proxy_variables(self, host: str) -> dict[str, str]:
        """Return the proxy variables that the Docker CLI sets in containers and builds, in upper and lower case.

        `host` is the daemon's address, like unix:///var/run/docker.sock; its entry replaces `default`.
        """
        entry = self.proxies.get(host, self.proxies.get("default", {}))
        found: dict[str, str] = {}
        for key, variable in _PROXIES.items():
            if entry.get(key):
                found |= {variable: entry[key], variable.lower(): entry[key]}
        return found


def read_config(path: Path) -> DockerConfig:
    """Read the file at `path`. Never raises: an unreadable file is a problem, a missing one is empty."""
    try:
        # O_NONBLOCK: opening a FIFO would block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            if status.st_size > MAX_CONFIG_BYTES:
                raise OSError(errno.EFBIG, f"it is larger than {MAX_CONFIG_BYTES >> 20} MiB")
            content = file.read(MAX_CONFIG_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return DockerConfig()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return DockerConfig(path, problems=(ConfigProblem(f"cannot be read: {reason or error}", proxies=True),))
    return parse_config(content, path)


def parse_config(content: bytes, path: Path) -> DockerConfig:
    """Return the usable part of the file's content. Never raises."""
    if not content.strip():
        return DockerConfig(path)  # as the Docker CLI does
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return DockerConfig(path, problems=(ConfigProblem(f"is not JSON: {reason}", proxies=True),))
    if not isinstance(document, dict):
        return DockerConfig(path, problems=(ConfigProblem("is not a JSON object", proxies=True),))
    if path.name == LEGACY_FILE_NAME:
        document = {"auths": document}
    problems: list[ConfigProblem] = []
    return DockerConfig(
        path,
        logins=_logins(_object(document, "auths", problems), problems),
        store=_store(document.get("credsStore"), problems),
        helpers=_helpers(_object(document, "credHelpers", problems), problems),
        proxies=_proxies(_object(document, "proxies", problems), problems),
        problems=tuple(problems),
    )


def _object(document: Mapping[str, Any], key: str, problems: list[ConfigProblem]) -> dict[str, Any]:
    value = document.get(key)
    if value is None or isinstance(value, dict):
        return value or {}
    is_proxies = key == "proxies"
    problems.append(ConfigProblem(f"`{key}` is not a JSON object", logins=not is_proxies, proxies=is_proxies))
    return {}


def _logins(entries: Mapping[str, Any], problems: list[ConfigProblem]) -> dict[str, RegistryLogin]:
    found: dict[str, RegistryLogin] = {}
    for registry, entry in entries.items():
        try:
            login = _login(entry)
        except ValueError as error:
            problems.append(ConfigProblem(f"the login for {registry} cannot be used: {error}", registry))
            continue
        if login is not None:
            found[registry] = login
    return found


def _login(entry: Any) -> RegistryLogin | None:
    """Parse one entry of `auths`; None if it holds no login, as with a credential helper. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError("it is not a JSON object")
    for key in ("auth", "identitytoken", "username", "password"):
        if not isinstance(entry.get(key, ""), str):
            raise ValueError(f"`{key}` is not a text")
    if entry.get("identitytoken"):
        return RegistryLogin(token=entry["identitytoken"])
    if not entry.get("auth"):
        return RegistryLogin(entry["username"], entry.get("password", "")) if entry.get("username") else None
    try:
        user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (binascii.Error, ValueError):  # ValueError: not ASCII outside, or not UTF-8 inside
        raise ValueError("`auth` is not base64") from None
    if not colon or not user:
        raise ValueError("`auth` does not hold USER:PASSWORD")
    return RegistryLogin(user, password.strip("\0"))


def _store(value: Any, problems: list[ConfigProblem]) -> str | None:
    if value in (None, ""):
        return None
    if isinstance(value, str) and _HELPER.fullmatch(value):
        return value
    problems.append(ConfigProblem("`credsStore` does not name a credential helper"))
    return None


def _helpers(entries: Mapping[str, Any], problems: list[ConfigProblem]) -> dict[str, str]:
    found: dict[str, str] = {}
    for registry, helper in entries.items():
        if isinstance(helper, str) and _HELPER.fullmatch(helper):
            found[registry] = helper
        elif helper not in (None, ""):
            problems.append(ConfigProblem(f"`credHelpers` does not name a helper for {registry}", registry))
    return found


def _proxies(entries: Mapping[str, Any], problems: list[ConfigProblem]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for host, entry in entries.items():
        if not isinstance(entry, dict):
            problems.append(ConfigProblem(f"the proxies for {host} are not a JSON object", logins=False, proxies=True))
            continue
        invalid_keys = [key for key in _PROXIES if not _is_variable_value(entry.get(key, ""))]
        problems.extend(
            ConfigProblem(f"`{key}` in the proxies for {host} is not a text", logins=False, proxies=True)
            for key in invalid_keys
        )
        found[host] = {key: entry[key] for key in _PROXIES if entry.get(key) and key not in invalid_keys}
    return found


def _is_variable_value(value: Any) -> bool:
    return value is None or (isinstance(value, str) and "\0" not in value)
