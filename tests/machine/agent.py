"""Runs inside the virtual machine, as root: starts what the test asks for. It has nothing but Debian's Python.

A line of JSON comes in through a port of the machine, {command, user, env, input, timeout}, and one goes out, {code,
out, err}. The first that goes out after the start is {boot}, with the kernel's number for this boot.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMED_OUT = 124  # as timeout(1) says it


def main() -> None:
    """Answer until the machine goes down."""
    while not (ports := sorted(Path("/dev").glob("vport*"))):
        time.sleep(0.05)
    with open(ports[0], "r+b", buffering=0) as port:
        _say(port, {"boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip()})
        for line in _lines(port):
            _say(port, _do(**json.loads(line)))


def _lines(port: Any) -> Iterator[bytes]:
    rest = b""
    while True:
        got = port.read(1 << 16)
        if not got:  # nobody is at the other end now
            time.sleep(0.05)
        *lines, rest = (rest + got).split(b"\n")
        yield from lines


def _say(port: Any, answer: dict[str, Any]) -> None:
    left = memoryview(json.dumps(answer).encode() + b"\n")
    while left:  # the kernel takes 32 KiB at once
        left = left[port.write(left) :]


def _do(command: list[str], user: str, env: dict[str, str], input: str, timeout: float) -> dict[str, Any]:
    account = pwd.getpwnam(user)
    # Files, not pipes: what runs on in the background would keep a pipe open.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(input.encode())
        given.seek(0)
        try:
            code = subprocess.run(
                command,
                stdin=given,
                stdout=out,
                stderr=err,
                check=False,
                timeout=timeout,
                cwd=account.pw_dir,
                env=env,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=os.getgrouplist(user, account.pw_gid),
                start_new_session=True,
            ).returncode
        except subprocess.TimeoutExpired:
            code = TIMED_OUT
        return {"code": code, "out": _text(out), "err": _text(err)}


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode("utf-8", "replace"))


if __name__ == "__main__":
    main()
