"""The stand-in answers like the real driver: each recording of tests/nvml/record.py, replayed on the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.nvml.standin import Server

RECORDINGS = sorted(Path(__file__).with_name("recorded").glob("*.json"))
ROOT = Path(__file__).resolve().parents[2]


def answers(recording: dict[str, Any], function: str) -> Any:
    """Return a function's first recorded answer."""
    return next(call.get("answer") for call in recording["calls"] if call["function"] == function)


def lines_of(recording: dict[str, Any]) -> list[str]:
    """Return the stand-in's lines for a recording of one GPU without MIG."""
    memory = answers(recording, "nvmlDeviceGetMemoryInfo")
    values = {
        "uuid": answers(recording, "nvmlDeviceGetUUID"),
        "name": answers(recording, "nvmlDeviceGetName").replace(" ", "_"),
        "memory": memory["total"],
        "used": memory["used"],
        "reserved": memory["reserved"],
        "mig": answers(recording, "nvmlDeviceGetMigMode")[0],
        "ecc": answers(recording, "nvmlDeviceGetTotalEccErrors"),
        "remap": answers(recording, "nvmlDeviceGetRemappedRows")[3],
        "power": answers(recording, "nvmlDeviceGetPowerUsage"),
        "temperature": answers(recording, "nvmlDeviceGetTemperature"),
        "energy": answers(recording, "nvmlDeviceGetTotalEnergyConsumption"),
        "utilisation": answers(recording, "nvmlDeviceGetUtilizationRates")["gpu"],
        "memory_busy": answers(recording, "nvmlDeviceGetUtilizationRates")["memory"],
    }
    processes = [
        f"process 0 pid={process['pid']} memory={process['usedGpuMemory']}"
        for process in answers(recording, "nvmlDeviceGetComputeRunningProcesses_v3")
    ]
    gpu = " ".join(f"{key}={value}" for key, value in values.items())
    return [f"driver {answers(recording, 'nvmlSystemGetDriverVersion')}", f"gpu {gpu}", *processes]


def without_times(recording: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in call.items() if key != "milliseconds"} for call in recording["calls"]]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_the_stand_in_answers_each_call_as_the_driver_did(server: Server, path: Path, tmp_path: Path) -> None:
    recording = json.loads(path.read_text("utf-8"))
    server.show(*lines_of(recording))
    again = tmp_path / "again.json"
    command = [sys.executable, "-m", "tests.nvml.record", "the stand-in", str(again)]
    subprocess.run(command, env=os.environ | server.environment, cwd=ROOT, check=True)
    replayed = json.loads(again.read_text("utf-8"))
    assert without_times(replayed) == without_times(recording)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_name_no_real_gpu(path: Path) -> None:
    uuid = json.loads(path.read_text("utf-8"))["observation"]["gpus"][0]["uuid"]
    assert uuid == "GPU-00000000-0000-0000-0000-000000000000"


def test_recorded_gpus_show_memory_and_processes() -> None:
    idle, busy = (json.loads(path.read_text("utf-8"))["observation"] for path in sorted(RECORDINGS, reverse=True))
    assert (idle["slots"][0]["memory_used_bytes"], idle["slots"][0]["processes"]) == (0, [])
    assert [process["name"] for process in busy["slots"][0]["processes"]] == ["python3"]
    assert busy["gpus"][0]["utilisation_percent"] > 90
