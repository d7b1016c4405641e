"""Measures what people wait for, as ratios in one run: `python tests/bench`. A program, no test: it judges nothing.

Ratios hold when the machine is slow or busy; a figure in ms belongs to the machine that is named above it.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # started as a folder, it has only that on its path

from tests.bench.allocation import allocation
from tests.bench.bed import DS01, docker_version
from tests.bench.dashboard import dashboard
from tests.bench.programs import life, listing, start_up
from tests.bench.tick import on_real_docker, on_simulated_engine
from tests.bench.view import view

ALL = ("start", "allocation", "view", "tick", "docker-tick", "life", "list", "dashboard")


def main() -> None:
    """Run the measurements that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, help="what is measured (default: all)")
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default 15)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 400], help="containers in the list")
    parser.add_argument("--ticked", type=int, nargs="+", default=[50, 200, 400], help="containers of a tick")
    parser.add_argument("--programs", nargs="+", default=[], help="frozen ds01s whose start is measured too")
    parser.add_argument("--rest", type=float, default=60, help="seconds of the dashboard at rest (default 60)")
    options = parser.parse_args()
    # Ended like this, it still removes what it made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    docker = docker_version()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()},", end=" ")
    print(f"Python {platform.python_version()}, {f'Docker {docker}' if docker else 'no Docker answers'}\n", flush=True)
    if "start" in options.only:
        start_up([str(DS01), *options.programs], options.runs)
    if "allocation" in options.only:
        allocation()
    if "view" in options.only:
        view(options.ticked, options.runs)
    if "tick" in options.only:
        on_simulated_engine(options.ticked, options.runs)
    if docker and "docker-tick" in options.only:
        on_real_docker(options.ticked, options.runs)
    if docker and "life" in options.only:
        life(options.runs)
    if docker and "list" in options.only:
        listing(options.sizes, options.runs)
    if "dashboard" in options.only:
        dashboard([str(DS01), *options.programs], options.runs, options.rest)


if __name__ == "__main__":
    main()
