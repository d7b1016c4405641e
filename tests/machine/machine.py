"""A server in a virtual machine, emulated in software: it has a kernel of its own, cgroup v2, and can be restarted.

    machine = Machine(image, folder, files)     # boots; `image` is what packaging/machine-image made
    begun = machine.begin("container-deploy thesis --background", user="alice")
    begun.end()                                 # several may be under way: it has two processors
    machine.reboot()                            # as by an administrator
    machine.lose_power()                        # from one instruction to the next

tests/server.py says what else it does. It has no network; its clock is this machine's.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.server import CompletedRun, Server, arguments_of, describe_result, environment_of

BOOT = 240.0  # seconds; on two idle cores it takes 15
END = 180.0  # seconds from the command to the end; Docker gives containers 10
QEMU = "qemu-system-x86_64"
# NVMe and ext4 are built into Debian's kernel for clouds: it needs no initial file system. What qemu has translated is
# found again only at the same address: with random ones everything takes twice the time.
KERNEL = (
    "root=/dev/nvme0n1 rw console=ttyS0 quiet nokaslr norandmaps clocksource=tsc tsc=reliable mitigations=off audit=0 "
    "apparmor=0 selinux=0 systemd.show_status=no"
)


@dataclass
class Begun:
    """A command that runs in the machine."""

    machine: Machine
    id: int
    line: str
    words: list[str]
    code: int | None
    timeout: float

    def end(self) -> CompletedRun[str]:
        """Wait for its end. Raises AssertionError if that was not the one that was wanted."""
        answer = self.machine.hear(lambda answer: answer.get("id") == self.id, self.timeout + 30)
        done = CompletedRun(self.words, answer["code"], answer["out"], answer["err"])
        assert self.code is None or done.returncode == self.code, f"{self.line}: {describe_result(done)}"
        return done


class Machine(Server):
    """A running machine; `close` ends it. Its files lie in `folder`."""

    def __init__(self, image: Path, folder: Path, files: bytes) -> None:
        """Boot it. `files`: a tar that is unpacked before anything else starts. Raises AssertionError."""
        self._folder = folder
        # What was never written takes no room, nor time.
        subprocess.run(["cp", "--sparse=always", image / "disk", image / "vmlinuz", folder], check=True)
        (folder / "files").write_bytes(files + bytes(-len(files) % 4096))
        self._ids = count(1)
        self._switch_on()

    def begin(
        self,
        command: str | Sequence[str],
        *,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        code: int | None = 0,
        input: str | None = None,
        timeout: float = 300,
    ) -> Begun:
        """As `run`, without waiting for its end."""
        words = arguments_of(command)
        begun = Begun(self, next(self._ids), f"{user}$ {command}", words, code, timeout)
        question = {"id": begun.id, "words": words, "user": user, "env": environment_of(user, env or {})}
        line = json.dumps(question | {"input": input or "", "timeout": timeout})
        self._port.sendall(line.encode() + b"\n")
        return begun

    def run(self, command: str | Sequence[str], **options: Any) -> CompletedRun[str]:
        """Run a command, or a line of sh, as a user; see Server."""
        return self.begin(command, **options).end()

    def reboot(self) -> None:
        """Restart it as an administrator does: every process gets TERM and time to end."""
        self.run("systemctl --no-block reboot")
        try:
            self._emulator.wait(END)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the machine does not go down; its console says:\n{self.console()}") from None
        self.close()
        self._switch_on()

    def lose_power(self) -> None:
        """End it from one instruction to the next, and boot it again from what is on its disk."""
        self.close()
        self._switch_on()

    def close(self) -> None:
        """End it at once."""
        self._emulator.kill()
        self._emulator.wait()
        self._port.close()

    def hear(self, wanted: Callable[[dict[str, Any]], bool], timeout: float) -> dict[str, Any]:
        """The next answer like that; others are kept. Raises AssertionError with what its console says."""
        until = time.monotonic() + timeout
        while True:
            for answer in self._heard:
                if wanted(answer):
                    self._heard.remove(answer)
                    return answer
            self._port.settimeout(max(0.1, until - time.monotonic()))
            try:
                got = self._port.recv(1 << 16)
            except TimeoutError:
                got = b""
            assert got, f"the machine does not answer; its console says:\n{self.console()}"
            *lines, self._rest = (self._rest + got).split(b"\n")
            self._heard += map(json.loads, lines)

    def console(self) -> str:
        """The end of what the kernel and systemd said."""
        log = self._folder / "console"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""

    def _switch_on(self) -> None:
        folder, address = self._folder, self._folder / "port"
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(address))
            listening.listen(1)
            listening.settimeout(30)
            ends_with_us = ["setpriv", "--pdeathsig", "KILL"]  # however we end
            self._emulator = subprocess.Popen(
                [
                    *ends_with_us, QEMU, "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "Nehalem",
                    "-smp", "2", "-m", "1536", "-no-reboot", "-display", "none", "-nic", "none",
                    "-serial", f"file:{folder}/console",
                    "-kernel", folder / "vmlinuz", "-append", KERNEL,
                    # What the machine wrote is this kernel's to keep, whatever becomes of qemu: no need for a sync.
                    "-drive", f"id=disk,file={folder}/disk,format=raw,if=none,cache=unsafe",
                    "-device", "nvme,drive=disk,serial=disk",
                    "-drive", f"id=files,file={folder}/files,format=raw,if=none,readonly=on",
                    "-device", "nvme,drive=files,serial=files",
                    "-chardev", f"socket,id=port,path={address}", "-device", "virtio-serial-pci",
                    "-device", "virtserialport,chardev=port",
                ],
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            self._port, _ = listening.accept()
        self._heard: list[dict[str, Any]] = []
        self._rest = b""
        self._wait_for_boot()

    def _wait_for_boot(self) -> None:
        self.hear(lambda answer: "boot" in answer, BOOT)
        # It says `degraded` and fails if a service did not start; which one does not matter as long as Docker did.
        self.run("systemctl is-system-running --wait", code=None, timeout=BOOT)
        self.run("docker info", timeout=BOOT)


def is_possible() -> bool:
    """Whether this machine has what it takes."""
    return shutil.which(QEMU) is not None and shutil.which("setpriv") is not None
