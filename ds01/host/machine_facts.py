"""Read the machine's facts for doctor from the kernel's files and the file system."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ds01.automation.report import last_good_time, unjudged_items
from ds01.dataclass import dataclass
from ds01.errors import Ds01Error
from ds01.gpus.pci import count_nvidia_cards
from ds01.host.checks.facts import CronJob, GpuStateFile, KernelFacts, LastTick, Link
from ds01.host.systemd import Systemd
from ds01.system import files, programs
from ds01.system.data import DataError, parse_json, parse_time

# The daemons of cron, cronie, bcron, fcron and busybox. systemd-cron has no daemon, but an active target.
CRON_DAEMONS = frozenset({"cron", "crond", "bcron-sched", "fcron"})
CRON_UNITS = ("cron.target", "cron.service", "crond.service", "bcron.service", "fcron.service")
CDI_HOOK = "nvidia-cdi-hook"
CDI_KIND = "nvidia.com/gpu="
NVIDIA_HOOKS = ("nvidia-container-runtime-hook", CDI_HOOK)


@dataclass(frozen=True)
class SystemRoots:
    """The paths of the kernel's and the system's files; tests use others."""

    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    cron: Path = Path("/etc/cron.d/ds01")
    docker: Path = Path("/var/lib/docker")  # Docker's default, if Docker does not answer


def read_kernel(roots: SystemRoots) -> KernelFacts:
    """Return swap, NVIDIA's cards, and missing links to its devices."""
    swap = re.search(r"^SwapTotal:\s+(\d+) kB", _read_text(roots.proc / "meminfo"), re.MULTILINE)
    swap_bytes = int(swap[1]) << 10 if swap else 0
    return KernelFacts(swap_bytes, _limits_swap(roots.sys), count_nvidia_cards(roots.sys), device_links(roots.dev))


def device_links(dev: Path) -> dict[str, str]:
    """Return the links below /dev/char that NVIDIA's devices lack, with their targets."""
    missing = {}
    for path in [*dev.glob("nvidia*"), *dev.glob("nvidia-caps/*")]:
        try:
            status = path.stat()
        except OSError:
            continue
        if not stat.S_ISCHR(status.st_mode):
            continue
        link = dev / "char" / f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        if not link.exists():
            missing[str(link)] = f"../{path.relative_to(dev)}"
    return missing


def read_cron(roots: SystemRoots, systemd: Systemd | None = None) -> CronJob:
    """Return the cron entry, and whether cron runs; unknown for a user who may not see others' processes."""
    processes = {_read_text(path).strip() for path in roots.proc.glob("[0-9]*/comm")}
    is_up = bool(processes & CRON_DAEMONS) or (systemd or Systemd()).is_active(CRON_UNITS)
    running = True if is_up else (False if os.geteuid() == 0 else None)
    try:
        status = roots.cron.stat()
    except OSError:
        return CronJob(str(roots.cron), running=running)
    return CronJob(str(roots.cron), stat.S_IMODE(status.st_mode), status.st_uid, _read_text(roots.cron), running)


def read_last_tick(path: Path) -> LastTick:
    """Return the report of the last tick."""
    try:
        document = parse_json(files.read(path))
        errors = tuple(_describe_error(item) for item in document.get("errors", ()))
        last_good = last_good_time(document)
        good_at = None if last_good is None else parse_time(last_good)
        return LastTick(parse_time(document["started_at"]), good_at, errors, tuple(unjudged_items(document)))
    except FileNotFoundError:
        return LastTick()
    except (OSError, ValueError, DataError, KeyError, AttributeError, TypeError) as error:
        return LastTick(problem=str(error))


def why_unwritable(folder: Path) -> str | None:
    """Return why a directory cannot be written; None if it can, or does not exist."""
    if not folder.is_dir() or os.access(folder, os.W_OK):
        return None
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    return "its file system is read-only" if read_only else "its mode does not let this user write"


def read_gpu_state(path: Path) -> GpuStateFile:
    """Return the content of gpu-state.json."""
    try:
        allocations = parse_json(files.read(path))["allocations"]
    except FileNotFoundError:
        return GpuStateFile()
    except KeyError:
        return GpuStateFile(problem="it has no `allocations`")
    except (OSError, ValueError, TypeError) as error:
        return GpuStateFile(problem=str(error))
    return (
        GpuStateFile(allocations)
        if isinstance(allocations, dict)
        else GpuStateFile(problem="its `allocations` are not an object")
    )


def program_and_links() -> tuple[str | None, tuple[Link, ...]]:
    """Return the installed program and the links of its commands, whose names the program prints."""
    program = shutil.which("ds01")
    if program is None:
        return None, ()
    try:
        names = programs.run([program, "--names"]).split()
    except Ds01Error:
        return None, ()
    return os.path.realpath(program), tuple(_links(Path(program).parent, names))


def has_nvidia_hook() -> bool:
    """Return whether NVIDIA's hook, which puts GPUs into containers, is installed."""
    return any(programs.find(name) for name in NVIDIA_HOOKS)


def cdi_devices() -> tuple[str, ...] | None:
    """Return the names of NVIDIA's devices in the CDI specifications, as `MIG-…` and `0:1`.

    None if Docker does not use them, because NVIDIA's CDI hook is not installed.
    """
    if programs.find(CDI_HOOK) is None:
        return None
    try:
        lines = programs.run(["nvidia-ctk", "cdi", "list"]).splitlines()
    except Ds01Error:
        return None
    return tuple(line.strip().removeprefix(CDI_KIND) for line in lines if line.strip().startswith(CDI_KIND))


def _links(folder: Path, names: list[str]) -> Iterator[Link]:
    for name in names:
        path = folder / name
        yield Link(str(path), os.path.realpath(path) if os.path.lexists(path) else None)


def _limits_swap(sys: Path) -> bool:
    cgroup = sys / "fs/cgroup"
    if (cgroup / "cgroup.controllers").exists():  # version 2: the root has no limits, only its children
        return any(cgroup.glob("*/memory.swap.max"))
    memory = cgroup / "memory"
    return not memory.exists() or (memory / "memory.memsw.limit_in_bytes").exists()


def _describe_error(item: object) -> str:
    if isinstance(item, dict):
        return ": ".join(str(item[key]) for key in ("container", "why") if item.get(key)) or json.dumps(item)
    return str(item)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
