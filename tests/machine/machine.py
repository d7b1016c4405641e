"""A server in a virtual machine, emulated in software: a kernel of its own, with cgroup v2, that can be restarted.

    machine = Machine(image, folder, files, log)     # boots; `image` is what packaging/machine-image made
    machine.reboot()                                 # as `systemctl reboot`
    machine.lose_power()                             # from one instruction to the next
    machine.close()

tests/server.py says what else it does. It has no network; what it needs is on a second drive.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.server import Done, Server

BOOT = 240.0  # seconds; on two idle cores it takes about 10
QEMU = "qemu-system-x86_64"
# Debian's kernel for clouds has NVMe and ext4 built in: it needs no initial file system.
KERNEL = "root=/dev/nvme0n1 rw console=ttyS0 quiet apparmor=0 mitigations=off audit=0 systemd.show_status=no"


class Machine(Server):
    """A running machine; `close` ends it. Its files lie in `folder`."""

    def __init__(self, image: Path, folder: Path, files: bytes) -> None:
        """Boot it. `files`: a tar that is unpacked before anything else starts. Raises AssertionError."""
        self._folder = folder
        self._kernel = image / "vmlinuz"
        # What is not written takes no room, nor time.
        subprocess.run(["cp", "--sparse=always", image / "disk", folder / "disk"], check=True)
        (folder / "files").write_bytes(files)
        with open(folder / "files", "r+b") as drive:
            drive.truncate((len(files) + 0xFFFF) & ~0xFFFF)
        self.boot = ""
        self._start_up()

    def reboot(self) -> None:
        """Restart it as an administrator does, who waits for its end."""
        before = self.boot
        self.run("systemctl --no-block reboot")
        self._wait_for_boot()
        assert self.boot != before

    def lose_power(self) -> None:
        """End it from one instruction to the next, and boot it again from what is on its disk."""
        before = self.boot
        self.close()
        self._start_up()
        assert self.boot != before

    def close(self) -> None:
        """End it at once."""
        self._emulator.kill()
        self._emulator.wait()
        self._port.close()

    def _start(self, words: Sequence[str], user: str, env: Mapping[str, str], input: str, timeout: float) -> Done[str]:
        question = {"command": list(words), "user": user, "env": dict(env), "input": input, "timeout": timeout}
        self._port.sendall(json.dumps(question).encode() + b"\n")
        answer = self._hear(timeout + 30)
        return Done(words, answer["code"], answer["out"], answer["err"])

    def _start_up(self) -> None:
        log, address = self._folder / "console", self._folder / "port"
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(address))
            listening.listen(1)
            listening.settimeout(BOOT)
            self._emulator = subprocess.Popen(
                [
                    QEMU, "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536",
                    "-display", "none", "-nic", "none", "-serial", f"file:{log}",
                    "-kernel", self._kernel, "-append", KERNEL,
                    # The disk's content is this machine's, whatever becomes of the emulator.
                    "-drive", f"id=disk,file={self._folder}/disk,format=raw,if=none,cache=unsafe",
                    "-device", "nvme,drive=disk,serial=disk",
                    "-drive", f"id=files,file={self._folder}/files,format=raw,if=none,readonly=on",
                    "-device", "nvme,drive=files,serial=files",
                    "-chardev", f"socket,id=port,path={address}", "-device", "virtio-serial-pci",
                    "-device", "virtserialport,chardev=port",
                ],
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            self._port, _ = listening.accept()
        self._rest = b""
        self._wait_for_boot()

    def _wait_for_boot(self) -> None:
        while "boot" not in (answer := self._hear(BOOT)):
            pass
        self.boot = answer["boot"]
        done = self.run("systemctl is-system-running --wait; docker info", timeout=BOOT)

    def _hear(self, timeout: float) -> dict[str, Any]:
        """The next line that the machine says."""
        until = time.monotonic() + timeout
        while b"\n" not in self._rest:
            self._port.settimeout(max(0.1, until - time.monotonic()))
            try:
                got = self._port.recv(1 << 16)
            except TimeoutError:
                got = b""
            assert got, f"the machine does not answer; the end of its console:\n{self._console()}"
            self._rest += got
        line, self._rest = self._rest.split(b"\n", 1)
        return json.loads(line)

    def _console(self) -> str:
        log = self._folder / "console"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""
