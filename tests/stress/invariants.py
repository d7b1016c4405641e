"""The invariants, checked on the raw files without ds01's own code for records."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATES = {"created", "running", "held", "stopped", "removed"}
# The tick's reasons to end something -> the warning that must have been delivered at an earlier tick.
NEEDS_WARNING = {"idle": "idle", "max_runtime": "runtime", "stopped for too long": "removal"}

Snapshot = dict[str, dict[str, Any]]  # file name without .json -> the record


class Broken(AssertionError):
    """An invariant does not hold."""


@dataclass
class Checker:
    """Looks at the records of one state directory while it holds the ledger's lock."""

    state: Path
    checks: int = 0
    revisions: dict[str, int] = field(default_factory=dict)

    def snapshot(self) -> Snapshot | None:
        """Read all records under the ledger's lock and check them; None if somebody else has the lock now.

        Raises Broken.
        """
        path = self.state / "locks" / "ledger.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}  # nobody has changed anything yet
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_ino != path.stat().st_ino:
                return None
            records = self._read()
            self._check(records)
        except (BlockingIOError, FileNotFoundError):
            return None
        finally:
            os.close(lock)
        self.checks += 1
        return records

    def _read(self) -> Snapshot:
        records = {}
        for path in (self.state / "container-metadata").glob("*.json"):
            content = path.read_bytes()
            try:
                records[path.stem] = json.loads(content)
            except ValueError:
                raise Broken(f"{path.name} is torn: {content[:200]!r}") from None
        return records

    def _check(self, records: Snapshot) -> None:
        holders: dict[str, str] = {}
        for name, record in records.items():
            if record["container_name"] != name or record["state"] not in STATES:
                raise Broken(f"{name}.json is the record of {record['container_name']}, {record['state']}")
            if record["rev"] < self.revisions.get(record["id"], 0):
                raise Broken(f"{name} went back from revision {self.revisions[record['id']]} to {record['rev']}")
            self.revisions[record["id"]] = record["rev"]
            lease = record["lease"]
            if lease and record["state"] in ("stopped", "removed") and not record["pending"]:
                raise Broken(f"{name} is {record['state']} and has a lease")
            for slot in lease["slots"] if lease and record["state"] != "removed" else ():
                if slot["uuid"] in holders:
                    raise Broken(f"{slot['slot']} is leased to {holders[slot['uuid']]} and to {name}")
                holders[slot["uuid"]] = name


def steps_of_tick(before: Snapshot, after: Snapshot, removed: Snapshot) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The transitions that a tick made between two snapshots: the record as it was before, and the transition."""
    earlier = {record["id"]: record for record in before.values()}
    found = []
    for record in [*after.values(), *removed.values()]:
        old = earlier.get(record["id"])
        if old is not None:
            known = [json.dumps(step) for step in old["history"]]
            found += [
                (old, step) for step in record["history"] if step["actor"] == "tick" and json.dumps(step) not in known
            ]
    return found


def check_warned(before: Snapshot, after: Snapshot, removed: Snapshot) -> int:
    """Check that nothing was stopped or removed by a tick without an earlier warning; how many were ended so."""
    steps = steps_of_tick(before, after, removed)
    for old, step in steps:
        needed = NEEDS_WARNING.get(step["why"] or "")
        if needed is not None and needed not in old["warnings"]:
            raise Broken(f"{old['container_name']} was ended without a warning: {step}, before {old['warnings']}")
    return len(steps)
