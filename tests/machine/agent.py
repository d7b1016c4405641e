"""Runs inside the virtual machine, as root: starts what the test asks for. It has nothing but Debian's Python.

Lines of JSON go through a port of the machine. In comes {id, words, user, env, input, timeout}, out goes {id, code,
out, err} when that has ended; several may be under way. The first line after a boot is {boot}, its name in the kernel.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMED_OUT = 124  # as timeout(1) says it


class Port:
    """The machine's end of the line. It is open as long as the machine runs."""

    def __init__(self) -> None:
        while not (ports := sorted(Path("/dev").glob("vport*"))):  # without udev nothing says when it is there
            time.sleep(0.05)
        self._file = open(ports[0], "r+b", buffering=0)  # noqa: SIM115
        self._lock = threading.Lock()

    def lines(self) -> Iterator[bytes]:
        """What comes in."""
        rest = b""
        while True:
            got = self._file.read(1 << 16)
            if not got:  # nobody is at the other end now
                time.sleep(0.05)
            *lines, rest = (rest + (got or b"")).split(b"\n")
            yield from lines

    def say(self, answer: dict[str, Any]) -> None:
        """Send a line."""
        left = json.dumps(answer).encode() + b"\n"
        with self._lock:
            while left:  # the kernel takes 32 KiB at once
                left = left[self._file.write(left) or 0 :]


def main() -> None:
    """Answer until the machine goes down."""
    port = Port()
    port.say({"boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip()})
    for line in port.lines():
        threading.Thread(target=lambda question: port.say(do(**question)), args=[json.loads(line)]).start()


def do(id: int, words: list[str], user: str, env: dict[str, str], input: str, timeout: float) -> dict[str, Any]:
    """Run a program, and what came of it."""
    account = pwd.getpwnam(user)
    # Files, not pipes: what runs on in the background would keep a pipe open.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(input.encode())
        given.seek(0)
        try:
            code = subprocess.run(
                words,
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
        except OSError as error:
            return {"id": id, "code": 127, "out": "", "err": str(error)}
        return {"id": id, "code": code, "out": _text(out), "err": _text(err)}


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode("utf-8", "replace"))


if __name__ == "__main__":
    main()
