"""Run other programs: argument lists, a timeout, the caller's own environment, never a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from subprocess import DEVNULL
from typing import Any

from ds01.errors import Ds01Error
from ds01.system.users import Account

TIMEOUT = 30.0  # seconds
ADMIN_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # missing from cron's PATH and from many users'
LIBRARY_PATH_VARIABLE = "LD_LIBRARY_PATH"
SAFE_VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TERM",
    "TZ",
    LIBRARY_PATH_VARIABLE,
)  # what a program of another user keeps of root's environment

RunProgram = Callable[[Sequence[str]], str]  # the type of a `run` parameter that tests replace


def run(
    arguments: Sequence[str], *, timeout: float = TIMEOUT, stdin: str | None = None, account: Account | None = None
) -> str:
    """Run a program and return its stdout. `stdin` is the text of its stdin.

    `account`: the user to run it for. The program has that user's home and, if root starts it, that user's uid and
    nothing of root's environment.

    Raises Ds01Error if the program is missing, takes longer than `timeout` seconds, or fails; `data` then has
    `program`, `problem` (not_found, timeout, failed) and `exit_code`.
    """
    environment, identity_options = _environment_for(account)
    name, *rest = arguments
    program = find(name, environment)
    if program is None:
        raise _error(
            name, "not_found", f"the program {name} is not installed", f"it is in none of {_path(environment)}"
        )
    input_options = {"stdin": DEVNULL} if stdin is None else {"input": stdin}
    try:
        result = subprocess.run(  # noqa: S603  an argument list, no shell
            [program, *rest], env=environment, timeout=timeout, check=False, capture_output=True,
            encoding="utf-8", errors="replace", **input_options, **identity_options,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _error(name, "timeout", f"{name} took longer than {timeout:g} s", " ".join(arguments)) from None
    except OSError as error:
        raise _error(name, "failed", f"{name} cannot be started", f"{program}: {error.strerror}") from error
    if result.returncode != 0:
        output = "\n".join(filter(None, (result.stderr.strip(), result.stdout.strip()))) or "it printed no reason"
        raise _error(name, "failed", f"{name} failed with code {result.returncode}", output, result.returncode)
    return str(result.stdout)


def run_at_terminal(arguments: Sequence[str], *, account: Account | None = None) -> None:
    """Run an interactive program, such as an editor, on the caller's terminal. Raises Ds01Error as `run`.

    `account`: as for `run`. A shell started from an editor must not be root's.
    """
    environment, identity_options = _environment_for(account)
    name, *rest = arguments
    program = find(name, environment)
    if program is None:
        raise _error(
            name, "not_found", f"the program {name} is not installed", f"it is in none of {_path(environment)}"
        )
    try:
        result = subprocess.run([program, *rest], env=environment, check=False, **identity_options)  # noqa: S603
    except OSError as error:
        raise _error(name, "failed", f"{name} cannot be started", f"{program}: {error.strerror}") from error
    if result.returncode != 0:
        raise _error(name, "failed", f"{name} failed with code {result.returncode}", program, result.returncode)


def find(name: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the path of a program, searched in the caller's PATH and ADMIN_PATHS; None if missing."""
    return shutil.which(name, path=_path(os.environ if environment is None else environment))


def caller_environment(environment: Mapping[str, str], *, bundle: str | None) -> dict[str, str]:
    """Return the caller's original environment; `bundle` is the frozen program's directory, None if not frozen.

    PyInstaller's loader puts its directory into the library path and keeps the caller's value in a second variable.
    Without this reversal, other programs would load ds01's libraries instead of their own.
    """
    restored = dict(environment)
    if bundle is None:
        return restored
    original = restored.pop(f"{LIBRARY_PATH_VARIABLE}_ORIG", None)
    directories = restored.pop(LIBRARY_PATH_VARIABLE, "").split(os.pathsep)
    if original is None:
        original = os.pathsep.join(directory for directory in directories if directory not in ("", bundle))
    return restored | ({LIBRARY_PATH_VARIABLE: original} if original else {})


def _environment_for(account: Account | None) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the environment for an account's program, and the arguments of `subprocess` that switch users for root."""
    environment = caller_environment(os.environ, bundle=getattr(sys, "_MEIPASS", None))
    if account is None:
        return environment, {}
    identity_options: dict[str, Any] = {}
    if os.geteuid() == 0 and account.uid != 0:
        groups = os.getgrouplist(account.login, account.gid)
        identity_options = {"user": account.uid, "group": account.gid, "extra_groups": groups, "cwd": "/"}
        environment = {name: value for name, value in environment.items() if name in SAFE_VARIABLES}
    return environment | {"HOME": account.home, "USER": account.login, "LOGNAME": account.login}, identity_options


def _path(environment: Mapping[str, str]) -> str:
    return os.pathsep.join([environment.get("PATH") or os.defpath, *ADMIN_PATHS])


def _error(program: str, problem: str, message: str, why: str, exit_code: int | None = None) -> Ds01Error:
    return Ds01Error(message, why=why, data={"program": program, "problem": problem, "exit_code": exit_code})
