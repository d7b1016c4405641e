"""Random stress: users who are killed and suspended at random, a full disk, clock jumps, a silent user database.

    python -m tests.stress [--seconds N] [--seed TEXT]

What must hold is checked on the raw files. Needs root on Linux, and works in a mount namespace of its own. Exit code 1
if an invariant broke: it says which, and the seed.
"""

from __future__ import annotations

import argparse
import gc
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

INSIDE = "--inside"
DISK = "24m"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=30, help="how long (default: 30)")
    parser.add_argument("--seed", default=None, help="repeats the random choices of a run, not its timing")
    parser.add_argument(INSIDE, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("tests.stress: needs root, for several users and a small disk of its own", file=sys.stderr)
        return 2
    if options.inside is None:
        return _in_namespace(options.seconds, options.seed or secrets.token_hex(4))
    return _run(options.inside, options.seconds, options.seed)


def _in_namespace(seconds: float, seed: str) -> int:
    """Run in a mount namespace, so that the small disk goes with it whatever happens."""
    root = Path(tempfile.mkdtemp(prefix="ds01-stress-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    root.chmod(0o755)
    again = [sys.executable, "-m", "tests.stress", "--seconds", str(seconds), "--seed", seed, INSIDE, str(root)]
    try:
        return subprocess.run(["unshare", "--mount", "--propagation", "private", *again], check=False).returncode
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _run(root: Path, seconds: float, seed: str) -> int:
    from tests.stress.arena import Arena
    from tests.stress.director import Director
    from tests.stress.invariants import Broken

    disk = root / "disk"
    disk.mkdir()
    small = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "ds01-stress", disk], check=False)
    print(f"stress: {seconds:g} s, seed {seed}{'' if small.returncode == 0 else ', without a full disk'}", flush=True)
    arena = Arena(root, disk)
    director = Director(arena, seed, disk if small.returncode == 0 else None)
    director.warm()
    gc.freeze()
    broken: Broken | None = None
    try:
        director.run(seconds)
        director.settle()
    except Broken as error:
        broken = error
    finally:
        director.end()
    print(director.summary(), flush=True)
    for fault in director.faults()[:5]:
        print(fault, file=sys.stderr)
    if broken is not None:
        print(f"BROKEN: {broken}", file=sys.stderr)
    if broken is not None or director.faults():
        print(f"stress: failed with seed {seed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
