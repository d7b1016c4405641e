"""The parts of systemd that ds01 uses: read and set limits of slices; check whether cron's units are active.

Always use `set-property`, which acts at once and survives reboots, never `daemon-reload`: with cgroup v2 that can take
the GPUs away from running containers. For the same reason never use `revert`, which reloads at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ds01.errors import Ds01Error
from ds01.host.slices import NO_LIMITS, SliceChange
from ds01.policy.model import SliceLimits
from ds01.policy.units import format_number
from ds01.system import programs
from ds01.system.programs import RunProgram

SYSTEMD_RUNNING = Path("/run/systemd/system")  # sd_booted(3): it exists if and only if systemd is process 1
CONTROL_DIRECTORY = Path("/etc/systemd/system.control")  # where set-property stores its settings
SLICE_PATTERN = "ds01-*.slice"

_LIMITS = ("Id", "CPUQuotaPerSecUSec", "MemoryMax", "TasksMax")
_UNLIMITED = ("", "infinity", "[not set]", str(2**64 - 1))
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(y|month|w|d|h|min|s|ms|us)(?=\s|$)")
_SECONDS = {
    "y": 31557600, "month": 2629800, "w": 604800, "d": 86400, "h": 3600, "min": 60, "s": 1, "ms": 1e-3, "us": 1e-6,
}  # fmt: skip


class Systemd:
    """The systemd of this machine. `run` starts `systemctl`."""

    def __init__(self, run: RunProgram = programs.run, *, control: Path = CONTROL_DIRECTORY) -> None:
        self._run = run
        self._control = control

    def limits(self, extra_units: Iterable[str] = ()) -> dict[str, SliceLimits]:
        """Return the limits of all limited slices below `ds01.slice`: loaded ones, ones with stored settings, and
        `extra_units`. Raises Ds01Error.
        """
        # An empty slice is unloaded, and found only by its file.
        units = {folder.name.removesuffix(".d") for folder in self._control.glob(f"{SLICE_PATTERN}.d")} | set(
            extra_units
        )
        limits_by_unit = {
            unit: SliceLimits(_cpus(values), _number(values, "MemoryMax"), _number(values, "TasksMax"))
            for unit, values in self._show(_LIMITS, sorted(units)).items()
        }
        return {unit: share for unit, share in limits_by_unit.items() if share != NO_LIMITS}

    def memory_used(self) -> dict[str, int]:
        """Return the bytes that each slice below `ds01.slice` uses now. Raises Ds01Error."""
        shown = self._show(("Id", "MemoryCurrent"), ())
        bytes_used = {unit: _number(values, "MemoryCurrent") for unit, values in shown.items()}
        return {unit: number for unit, number in bytes_used.items() if number is not None}

    def set_limits(self, change: SliceChange) -> None:
        """Set or remove the limits of a slice. Raises Ds01Error."""
        before, after = change.before, change.after
        settings = []
        if before.max_cpus != after.max_cpus:
            percent = "" if after.max_cpus is None else f"{format_number(after.max_cpus * 100)}%"
            settings.append(f"CPUQuota={percent}")
        if before.memory != after.memory:
            settings.append(f"MemoryMax={_or_infinity(after.memory)}")
        if before.max_tasks != after.max_tasks:
            settings.append(f"TasksMax={_or_infinity(after.max_tasks)}")
        self._run(["systemctl", "set-property", "--", change.unit, *settings])
        if after == NO_LIMITS:
            self._remove_settings(change.unit)

    def is_active(self, units: Sequence[str]) -> bool:
        """Return whether one of the units is active. Without systemd none is."""
        try:
            self._run(["systemctl", "is-active", "--quiet", "--", *units])  # fails if none is active
        except Ds01Error:
            return False
        return True

    def _show(self, properties: Sequence[str], units: Sequence[str]) -> dict[str, dict[str, str]]:
        options = [option for name in properties for option in ("--property", name)]
        output = self._run(["systemctl", "show", "--no-pager", *options, "--", SLICE_PATTERN, *units])
        blocks = [
            dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n")
        ]
        return {values["Id"]: values for values in blocks if values.get("Id")}

    def _remove_settings(self, unit: str) -> None:
        """Remove the files that `set-property` wrote for an old slice. An administrator's files stay."""
        folder = self._control / f"{unit}.d"
        for name in ("CPUQuota", "MemoryMax", "TasksMax"):
            (folder / f"50-{name}.conf").unlink(missing_ok=True)
        with suppress(OSError):  # missing, or not empty
            folder.rmdir()


def is_running() -> bool:
    """Return whether systemd runs this machine."""
    return SYSTEMD_RUNNING.is_dir()


def _cpus(values: dict[str, str]) -> float | None:
    """Return cores from the CPU time per second, which systemd shows as `1min 36s` or `500ms`."""
    text = values.get("CPUQuotaPerSecUSec", "")
    if text in _UNLIMITED:
        return None
    return round(sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(text)), 3)


def _number(values: dict[str, str], name: str) -> int | None:
    text = values.get(name, "")
    return int(text) if text not in _UNLIMITED and text.isdigit() else None


def _or_infinity(number: int | None) -> str:
    return "infinity" if number is None else str(number)
