"""Read ds01's settings: paths, engine, GPUs. `DS01_*` variables count only in a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import UsageError
from ds01.system.data import DataError, parse_time

LAST_GOOD_POLICY = "last-good-policy"  # the tick's copy of the policy and its members, in the state directory


@dataclass(frozen=True)
class Settings:
    """Settings of one process. `sandbox`: DS01_STATE names the state directory. `gpus`: `nvml` or `simulated:SPEC`."""

    state: Path = Path("/var/lib/ds01")
    config: Path = Path("/etc/ds01/resource-limits.yaml")
    log: Path = Path("/var/log/ds01")
    sandbox: bool = False
    engine: str = "docker"
    gpus: str = "nvml"
    docker_socket: str = "/var/run/docker.sock"
    now: datetime | None = None
    sudo_uid: int | None = None
    docker_config: str | None = None  # DOCKER_CONFIG, the directory of the caller's Docker configuration
    terminal: str | None = None  # TERM, for programs in containers
    editor: str | None = None  # the user's editor, with options
    mlc_arch: str | None = None  # the GPU architecture for which AIME's users want images

    @property
    def last_good_policy(self) -> Path:
        """The directory with the tick's copy of the last good policy."""
        return self.state / LAST_GOOD_POLICY

    @property
    def mailboxes(self) -> Path:
        """The directory of the notices."""
        return self.state / "notices"


def read(environment: Mapping[str, str], *, euid: int) -> Settings:
    """Return the settings of a process. Raises UsageError if a variable that counts is invalid.

    SUDO_UID is trusted only with euid 0: anybody can set it, but root could do everything anyway.
    """
    sudo = environment.get("SUDO_UID", "")
    plain = Settings(
        sudo_uid=int(sudo) if euid == 0 and sudo.isascii() and sudo.isdigit() else None,
        docker_config=environment.get("DOCKER_CONFIG") or None,
        terminal=environment.get("TERM"),
        editor=environment.get("VISUAL") or environment.get("EDITOR") or None,
        mlc_arch=environment.get("MLC_ARCH") or None,
    )
    state = environment.get("DS01_STATE")
    if not state:
        return replace(plain, now=_time(environment) if euid == 0 else None)
    directory = Path(state)
    if not directory.is_absolute():
        raise UsageError("DS01_STATE must be an absolute path", why=f"it is {state!r}")
    engine = environment.get("DS01_ENGINE") or plain.engine
    if engine not in ("docker", "simulated"):
        raise UsageError("DS01_ENGINE must be docker or simulated", why=f"it is {engine!r}")
    gpus = environment.get("DS01_GPUS") or plain.gpus
    if gpus != "nvml" and not gpus.startswith("simulated:"):
        raise UsageError("DS01_GPUS must be nvml or simulated:COUNTxMODEL,…", why=f"it is {gpus!r}")
    return replace(
        plain,
        state=directory,
        config=Path(environment.get("DS01_CONFIG") or plain.config),
        log=directory / "log",
        sandbox=True,
        engine=engine,
        gpus=gpus,
        docker_socket=environment.get("DS01_DOCKER_SOCKET") or plain.docker_socket,
        now=_time(environment),
    )


def _time(environment: Mapping[str, str]) -> datetime | None:
    text = environment.get("DS01_NOW")
    if not text:
        return None
    try:
        return parse_time(text)
    except DataError as error:
        raise UsageError("DS01_NOW must be a time in RFC 3339 format", why=str(error)) from error


def config_file(name: str) -> Path:
    """Return the path of a file in `config/`: beside the package when installed, at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "config" / name
    return installed if installed.exists() else package.parent / "config" / name
