"""What doctor has to know of this machine, read from the kernel's files and the file system."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ds01.automation.report import last_good, not_judged
from ds01.errors import Ds01Error
from ds01.gpus.pci import count_nvidia_cards
from ds01.host.checks.facts import Cron, Disk, Kernel, Link, Picture, Tick
from ds01.host.systemd import Systemd
from ds01.system import files, programs
from ds01.system.data import DataError, parse_json, parse_time

# The daemons of cron, cronie, bcron, fcron and busybox. systemd-cron has none of its own, but a target that is up.
CRONS = frozenset({"cron", "crond", "bcron-sched", "fcron"})
CRON_UNITS = ("cron.target", "cron.service", "crond.service", "bcron.service", "fcron.service")
CDI_HOOK = "nvidia-cdi-hook"
CDI_KIND = "nvidia.com/gpu="
HOOKS = ("nvidia-container-runtime-hook", CDI_HOOK)


@dataclass(frozen=True)
class Roots:
    """Where the kernel and the system have their files; a test has them elsewhere."""

    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    cron: Path = Path("/etc/cron.d/ds01")
    docker: Path = Path("/var/lib/docker")  # Docker's own choice, for one that does not answer


def kernel(roots: Roots) -> Kernel:
    """Swap, NVIDIA's cards, and links to its devices."""
    swap = re.search(r"^SwapTotal:\s+(\d+) kB", _text(roots.proc / "meminfo"), re.MULTILINE)
    swap_bytes = int(swap[1]) << 10 if swap else 0
    return Kernel(swap_bytes, _limits_swap(roots.sys), count_nvidia_cards(roots.sys), device_links(roots.dev))


def device_links(dev: Path) -> dict[str, str]:
    """The links below /dev/char that NVIDIA's devices lack, with what they have to lead to."""
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


def disks(folders: Mapping[Path, str]) -> tuple[Disk, ...]:
    """The file systems below folders that are there, each once, with what lies there."""
    found: dict[int, Disk] = {}
    for path, what in folders.items():
        try:
            device, space = path.stat().st_dev, os.statvfs(path)
        except OSError:
            continue
        free, total = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
        known = found.get(device, Disk(str(path), (), total, free, space.f_files, space.f_favail))
        found[device] = replace(known, holds=(*known.holds, what))
    return tuple(found.values())


def cron(roots: Roots, systemd: Systemd | None = None) -> Cron:
    """The entry, and whether any cron runs; a user who may not see others' processes cannot tell."""
    names = {_text(path).strip() for path in roots.proc.glob("[0-9]*/comm")}
    runs = bool(names & CRONS) or (systemd or Systemd()).is_active(CRON_UNITS)
    running = True if runs else (False if os.geteuid() == 0 else None)
    try:
        status = roots.cron.stat()
    except OSError:
        return Cron(str(roots.cron), running=running)
    return Cron(str(roots.cron), stat.S_IMODE(status.st_mode), status.st_uid, _text(roots.cron), running)


def tick(path: Path) -> Tick:
    """The record of the last pass."""
    try:
        document = parse_json(files.read(path))
        errors = tuple(_error(item) for item in document.get("errors", ()))
        good = last_good(document)
        good_at = None if good is None else parse_time(good)
        return Tick(parse_time(document["started_at"]), good_at, errors, tuple(not_judged(document)))
    except FileNotFoundError:
        return Tick()
    except (OSError, ValueError, DataError, KeyError, AttributeError, TypeError) as error:
        return Tick(problem=str(error))


def unwritable(folder: Path) -> str | None:
    """Why nothing can be written into a folder; None if it can, or is not there."""
    if not folder.is_dir() or os.access(folder, os.W_OK):
        return None
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    return "its file system is read-only" if read_only else "its mode does not let this user write"


def picture(path: Path) -> Picture:
    """What gpu-state.json shows."""
    try:
        shown = parse_json(files.read(path))["allocations"]
    except FileNotFoundError:
        return Picture()
    except KeyError:
        return Picture(problem="it has no `allocations`")
    except (OSError, ValueError, TypeError) as error:
        return Picture(problem=str(error))
    return Picture(shown) if isinstance(shown, dict) else Picture(problem="its `allocations` are no table")


def program_and_links() -> tuple[str | None, tuple[Link, ...]]:
    """The installed program, and where the names of its commands lead. It says itself which these are."""
    found = shutil.which("ds01")
    if found is None:
        return None, ()
    try:
        names = programs.run([found, "--names"]).split()
    except Ds01Error:
        return None, ()
    return os.path.realpath(found), tuple(_links(Path(found).parent, names))


def has_nvidia_hook() -> bool:
    """Whether Docker finds what puts GPUs into containers."""
    return any(programs.find(name) for name in HOOKS)


def cdi_devices() -> tuple[str, ...] | None:
    """Return the names of NVIDIA's devices in the CDI specifications, as `MIG-…` and `0:1`.

    None where Docker does not use them: it does where NVIDIA's CDI hook is installed.
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
    if (cgroup / "cgroup.controllers").exists():  # version 2: the root has no limits, its children do
        return any(cgroup.glob("*/memory.swap.max"))
    memory = cgroup / "memory"
    return not memory.exists() or (memory / "memory.memsw.limit_in_bytes").exists()


def _error(item: object) -> str:
    if isinstance(item, dict):
        return ": ".join(str(item[key]) for key in ("container", "why") if item.get(key)) or json.dumps(item)
    return str(item)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
