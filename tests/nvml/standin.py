"""A libnvidia-ml.so.1 for tests: `build` compiles it, `Server` writes what it shows and observes through it.

    library = build(tmp_path)                       # needs cc; 0.2 s
    server = Server(library, tmp_path / "gpus")
    server.show("gpu uuid=GPU-a name=NVIDIA_A100 memory=42949672960")
    observation = server.observe()                  # in a process of its own, through the real nvidia-ml-py
    env = os.environ | server.environment           # for a whole ds01 in another process

The file's lines are described at the top of nvml.c.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ds01.errors import Ds01Error
from ds01.gpus.model import GpuObservation
from ds01.gpus.requirements import DriverInfo
from ds01.system.data import from_json

SOURCE = Path(__file__).with_name("nvml.c")
FILE = "DS01_TEST_NVML"

_OBSERVE = """
import ctypes, json, sys
from pathlib import Path
from ds01.errors import Ds01Error
from ds01.gpus.nvml import NvmlInventory
from ds01.system.data import to_json
slept = []
inventory = NvmlInventory(sys.argv[1] == "mig", Path(sys.argv[2]), slept.append, Path(sys.argv[4]))
try:
    if sys.argv[3] == "driver":
        answer = {"driver": to_json(inventory.driver_info())}
    else:
        answer = {"observation": to_json(inventory.observe(utilisation=sys.argv[3] == "measured"))}
except Ds01Error as error:
    answer = {"error": error.to_json()}
answer["slept"] = slept
try:
    library = ctypes.CDLL("libnvidia-ml.so.1")
    answer["open"] = library.standin_open()
    answer["samples"] = [library.standin_samples_taken(), library.standin_samples_alive()]
except OSError:
    pass
print(json.dumps(answer))
"""


def compiler() -> str | None:
    """Return the C compiler, if there is one."""
    return shutil.which("cc")


def build(directory: Path, without: tuple[str, ...] = (), *, file: str | None = None) -> Path:
    """Compile the stand-in into `directory`, a driver that lacks the functions `without`. Returns `directory`.

    `file`: what it reads in processes without DS01_TEST_NVML, where it is installed for a whole host.
    """
    directory.mkdir(parents=True, exist_ok=True)
    hidden = [f"-D{name}=standin_{name}" for name in without]
    if file is not None:
        hidden.append(f'-DSTANDIN_FILE="{file}"')
    command = [compiler() or "cc", "-Wall", "-Wextra", "-Werror", "-Wno-format-truncation", "-shared", "-fPIC"]
    subprocess.run([*command, *hidden, "-o", str(directory / "libnvidia-ml.so.1"), str(SOURCE)], check=True)
    return directory


@dataclass
class Server:
    """A server whose NVIDIA library is in `library` and answers from `file`."""

    library: Path
    file: Path
    proc: Path = Path("/nonexistent")
    sys: Path = Path("/nonexistent")
    # What the last observation left: Inits without Shutdown, its waits, and GPM's samples, taken and not freed.
    still_open: int | None = field(default=None, init=False)
    slept: list[float] = field(default_factory=list, init=False)
    samples: tuple[int, int] = field(default=(0, 0), init=False)

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a process sees these GPUs."""
        return {"LD_LIBRARY_PATH": str(self.library), FILE: str(self.file)}

    def show(self, *lines: str) -> None:
        """Answer from these lines from the next Init on."""
        self.file.write_text("\n".join(lines) + "\n")

    def observe(self, *, enable_mig: bool = True, utilisation: bool = False) -> GpuObservation:
        """Return what ds01 observes, without real waits. Raises what ds01 raises."""
        answer = self._ask("mig" if enable_mig else "full", "measured" if utilisation else "seen")
        return from_json(GpuObservation, answer["observation"])

    def driver_info(self) -> DriverInfo:
        """Return ds01's driver information for image requirements. Raises what ds01 raises."""
        return from_json(DriverInfo, self._ask("mig", "driver")["driver"])

    def _ask(self, slots: str, what: str) -> dict[str, Any]:
        arguments = [sys.executable, "-c", _OBSERVE, slots, str(self.proc), what, str(self.sys)]
        done = subprocess.run(arguments, env=os.environ | self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        self.still_open, self.slept = answer.get("open"), answer["slept"]
        self.samples = tuple(answer.get("samples", (0, 0)))
        if "error" in answer:
            raise Ds01Error.from_json(answer["error"])
        return answer
