"""The files of dcgm-exporter's `--hpc-job-mapping-dir`: one per leased GPU, which label its metrics with the lease.

dcgm-exporter reads files called `GPU`, or `GPU.INSTANCE` with the id of the MIG GPU instance, one job in each line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from ds01.api.seeing.server_view import ServerSlot
from ds01.gpus.model import SlotKind
from ds01.system import files

_NAME = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def mapping_files(slots: Sequence[ServerSlot]) -> dict[str, str]:
    """Return the content of each file by name. A lost slot, or one without an instance id, has none. Pure."""
    found: dict[str, str] = {}
    for slot in slots:
        if slot.state not in ("leased", "held") or slot.lost or slot.container is None:
            continue
        if slot.kind is SlotKind.MIG and slot.gpu_instance is None:
            continue
        name = str(slot.gpu) if slot.kind is SlotKind.FULL else f"{slot.gpu}.{slot.gpu_instance}"
        job = "".join(letter if letter.isprintable() else "�" for letter in f"{slot.user}/{slot.container}")
        found[name] = f"{found.get(name, '')}{job}\n"
    return found


def write_mapping(
    directory: Path, wanted: Mapping[str, str], own: Collection[str], remember: Callable[[list[str]], None]
) -> list[str]:
    """Write the wanted files, and remove those in `own`, written earlier, that are not wanted any more.

    `remember` gets the names that are ds01's: before the first of them is written, or a killed tick would leave a file
    that the next one takes for somebody else's. Returns the names that somebody else has taken. Raises OSError.
    """
    with files.open_trusted_directory(directory) as folder:
        foreign = [name for name in wanted if name not in own and _exists(folder / name)]
        kept = [name for name in wanted if name not in foreign]
        remember(sorted({*kept, *own}))
        for name in own:
            # The list is in a file that could be damaged: only names of the form that ds01 writes are removed.
            if name not in wanted and _NAME.fullmatch(name):
                (folder / name).unlink(missing_ok=True)
        for name in kept:
            if _read(folder / name) != wanted[name]:
                files.replace(folder / name, wanted[name].encode(), mode=0o644, durable=False)
        remember(kept)
    return foreign


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _read(path: Path) -> str | None:
    try:
        return files.read(path).decode("utf-8", "replace")
    except OSError:
        return None
