"""The one place that starts other programs: argument lists, a timeout, the caller's own environment, never a shell."""

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
ADMIN_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # cron's PATH, and many users', lacks these
LIBRARY_PATH_VARIABLE = "LD_LIBRARY_PATH"
SAFE_VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TERM",
    "TZ",
    LIBRARY_PATH_VARIABLE,
)  # what another person's program gets of root's

RunProgram = Callable[[Sequence[str]], str]  # what takes a `run` of its own, so that a test can give another


def run(
    arguments: Sequence[str], *, timeout: float = TIMEOUT, stdin: str | None = None, account: Account | None = None
) -> str:
    """Run a program to its end, and return what it wrote to stdout. `given` is what it reads on stdin.

    `account`: for whom. The program has that person's home, and, if root starts it, nothing of root's: neither the uid
    nor the environment.

    Raises Ds01Error if there is no such program, it takes longer than `timeout` seconds, or it fails; `data` then has
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
        result = subprocess.run(  # noqa: S603  a list of arguments, and no shell
            [program, *rest], env=environment, timeout=timeout, check=False, capture_output=True,
            encoding="utf-8", errors="replace", **input_options, **identity_options,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _error(name, "timeout", f"{name} took longer than {timeout:g} s", " ".join(arguments)) from None
    except OSError as error:
        raise _error(name, "failed", f"{name} cannot be started", f"{program}: {error.strerror}") from error
    if result.returncode != 0:
        output = "\n".join(filter(None, (result.stderr.strip(), result.stdout.strip()))) or "it said nothing"
        raise _error(name, "failed", f"{name} failed with code {result.returncode}", output, result.returncode)
    return str(result.stdout)


def run_at_terminal(arguments: Sequence[str], *, account: Account | None = None) -> None:
    """Run a program that people work in, as an editor, on the caller's terminal. Raises Ds01Error as `run`.

    `account`: as for `run`. An editor of root's would start a shell of root's.
    """
    environment, identity_options = _environment_for(account)
    name, *rest = arguments
    program = find(name, environment)
    if program is None:
        raise _error(
            name, "not_found", f"the program {name} is not installed", f"it is in none of {_path(environment)}"
        )
    try:
        result = subprocess.run([program, *rest], env=environment, check=False, **identity_options)  # noqa: S603  no shell
    except OSError as error:
        raise _error(name, "failed", f"{name} cannot be started", f"{program}: {error.strerror}") from error
    if result.returncode != 0:
        raise _error(name, "failed", f"{name} failed with code {result.returncode}", program, result.returncode)


def find(name: str, environment: Mapping[str, str] | None = None) -> str | None:
    """The path of a program, looked for where the caller and administrators have them; None if there is none."""
    return shutil.which(name, path=_path(os.environ if environment is None else environment))


def caller_environment(environment: Mapping[str, str], *, bundle: str | None) -> dict[str, str]:
    """The environment that the caller gave to ds01; `bundle` is the frozen program's folder, None if it is not frozen.

    PyInstaller's loader puts the folder before the caller's libraries, and keeps what was there in a variable beside
    it: another program would load ds01's libraries in place of its own.
    """
    restored = dict(environment)
    if bundle is None:
        return restored
    original = restored.pop(f"{LIBRARY_PATH_VARIABLE}_ORIG", None)
    folders = restored.pop(LIBRARY_PATH_VARIABLE, "").split(os.pathsep)
    if original is None:
        original = os.pathsep.join(folder for folder in folders if folder not in ("", bundle))
    return restored | ({LIBRARY_PATH_VARIABLE: original} if original else {})


def _environment_for(account: Account | None) -> tuple[dict[str, str], dict[str, Any]]:
    """The environment of a program for an account, and how it becomes theirs if root starts it."""
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
