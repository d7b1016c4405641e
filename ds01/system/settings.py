"""Where ds01's things are, and which engine and GPUs it uses. `DS01_*` count only with a state folder of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ds01.errors import UsageError
from ds01.system.data import DataError, parse_time

LAST_GOOD_POLICY = "last-good-policy"  # the tick's copy of the policy and its members, in the state folder


@dataclass(frozen=True)
class Settings:
    """`sandbox` is true for a state folder that DS01_STATE named. `gpus`: `nvml`, or `simulated:SPEC`."""

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
    editor: str | None = None  # what the person writes in, with its options
    mlc_arch: str | None = None  # the architecture that AIME's users ask for images of

    @property
    def last_good_policy(self) -> Path:
        """The folder with the tick's copy of the last good policy."""
        return self.state / LAST_GOOD_POLICY

    @property
    def mailboxes(self) -> Path:
        """The folder of the notices."""
        return self.state / "notices"


def read(environment: Mapping[str, str], *, euid: int) -> Settings:
    """The settings of a process. Raises UsageError if a variable that counts does not parse.

    SUDO_UID is believed only from euid 0: anybody can set it, but root could do everything anyway.
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
    folder = Path(state)
    if not folder.is_absolute():
        raise UsageError("DS01_STATE must be an absolute path", why=f"it is {state!r}")
    engine = environment.get("DS01_ENGINE") or plain.engine
    if engine not in ("docker", "simulated"):
        raise UsageError("DS01_ENGINE must be docker or simulated", why=f"it is {engine!r}")
    gpus = environment.get("DS01_GPUS") or plain.gpus
    if gpus != "nvml" and not gpus.startswith("simulated:"):
        raise UsageError("DS01_GPUS must be nvml or simulated:COUNTxMODEL,…", why=f"it is {gpus!r}")
    return replace(
        plain,
        state=folder,
        config=Path(environment.get("DS01_CONFIG") or plain.config),
        log=folder / "log",
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
        raise UsageError("DS01_NOW must be a time as in RFC 3339", why=str(error)) from error


def config_file(name: str) -> Path:
    """A file that ds01 ships in `config/`: beside the package when installed, at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "config" / name
    return installed if installed.exists() else package.parent / "config" / name
