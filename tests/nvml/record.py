"""Record what a real NVIDIA driver answers, as test data: run on a server that has a GPU.

    python -m tests.nvml.record NAME FILE [--load]

Observes the GPUs as ds01 does, and writes to FILE (JSON) every NVML call with its answer, and the observation that
ds01 made of them. UUIDs and process ids are replaced. `--load` computes with PyTorch meanwhile, so that there is a
process to see. It only reads: no setting of a GPU is changed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pynvml

from ds01.errors import GpusUnreachable
from ds01.gpus.nvml import NvmlInventory
from ds01.system.data import to_json

_LOAD = """
import torch
a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
print("running", flush=True)
while True:
    for _ in range(50):
        b = a @ a
    torch.cuda.synchronize()
"""


class Recorder:
    """Wraps the NVML functions of pynvml and records their answers."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self._identities: dict[str, str] = {}
        self._inside = False  # a pynvml function that calls others counts as one call

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record each call made in the block."""
        functions = {name: value for name, value in vars(pynvml).items() if _is_function(name, value)}
        for name, function in functions.items():
            setattr(pynvml, name, self._noting(name, function))
        try:
            yield
        finally:
            for name, function in functions.items():
                setattr(pynvml, name, function)

    def anonymous(self, value: Any) -> Any:
        """Return JSON data with every UUID replaced, always by the same name."""
        text = json.dumps(value)
        for uuid, name in self._identities.items():
            text = text.replace(uuid, name)
        return json.loads(text)

    def _noting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return function(*arguments, **options)
            call: dict[str, Any] = {"function": name, "arguments": _plain([*arguments, *options.values()])}
            self.calls.append(call)
            self._inside = True
            began = time.perf_counter()
            try:
                answer = function(*arguments, **options)
            except pynvml.NVMLError as error:
                call["error"] = int(error.value)
                raise
            finally:
                self._inside = False
                call["milliseconds"] = round((time.perf_counter() - began) * 1000, 3)
            if name == "nvmlDeviceGetUUID":
                kind = str(answer).partition("-")[0]
                number = len(self._identities)
                self._identities.setdefault(str(answer), f"{kind}-{number:08d}-0000-0000-0000-000000000000")
            call["answer"] = _plain(answer)
            return answer

        return note


def _is_function(name: str, value: Any) -> bool:
    return name.startswith("nvml") and callable(value) and not isinstance(value, type)


def _plain(value: Any) -> Any:
    """Convert a pynvml value to JSON: structures as their fields, handles as a word."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "_fields_"):
        return {name: _plain(getattr(value, name)) for name, *_ in value._fields_}
    if hasattr(value, "__dict__") and vars(value):
        return {name: _plain(item) for name, item in vars(value).items()}
    return "handle"


@contextmanager
def _computing(wanted: bool) -> Iterator[int | None]:
    if not wanted:
        yield None
        return
    child = subprocess.Popen([sys.executable, "-c", _LOAD], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(3)  # NVML's own counter is a mean over up to a second
        yield child.pid
    finally:
        child.kill()
        child.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", help="what the machine is, for people who read the file")
    parser.add_argument("file", type=Path)
    parser.add_argument("--load", action="store_true", help="compute with PyTorch meanwhile")
    options = parser.parse_args()
    recorder = Recorder()
    with _computing(options.load) as pid, recorder.recording():
        try:
            document: dict[str, Any] = {"observation": to_json(NvmlInventory().observe(utilisation=True))}
        except GpusUnreachable as error:
            document = {"error": error.to_json()}
    document = recorder.anonymous({"machine": options.name, "calls": recorder.calls} | document)
    text = json.dumps(document, indent=1)
    if pid is not None:
        text = text.replace(f": {pid}", ": 4711")
    options.file.write_text(text + "\n")


if __name__ == "__main__":
    main()
