"""The same race with whole programs, each started by its user, as on a server."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from ds01.records.entries import readable
from tests.race.test_race import GROUP, PEOPLE, PROCESSES, SLOTS, folder, make

__all__ = ["folder"]
ROUNDS = 3


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="several people need root")
def test_seven_of_forty_programs_win(folder: Path, program: Path) -> None:
    for number in range(ROUNDS):
        harness = make(folder / f"bed{number}")
        environment = {
            "PATH": os.environ["PATH"],
            "DS01_STATE": str(harness.state),
            "DS01_CONFIG": str(harness.root / "resource-limits.yaml"),
            "DS01_ENGINE": "simulated",
            "DS01_GPUS": "simulated:7xA100",
        }
        running = []
        for each in range(PROCESSES):
            uid = list(PEOPLE.values())[each % len(PEOPLE)]
            words = ("container", "create", f"job{each}", "--image", "any/image", "--gpus", "1")
            running.append(
                subprocess.Popen(
                    [program, *words],
                    user=uid,
                    group=uid,
                    extra_groups=[GROUP],
                    umask=0o077,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        told = [process.communicate()[1] for process in running]
        codes = Counter(process.returncode for process in running)
        # Won; no GPU free; over the quota of one.
        assert codes == {0: SLOTS, 4: PROCESSES // len(PEOPLE), 3: PROCESSES - SLOTS - PROCESSES // len(PEOPLE)}, told
        records = readable(harness.open_ledger().read())
        slots = [slot for record in records for slot in record.slots]
        assert len(slots) == len(set(slots)) == SLOTS
        assert set(Counter(record.uid for record in records if record.lease).values()) == {1}
