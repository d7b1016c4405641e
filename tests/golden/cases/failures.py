"""What fails: Docker, the driver, disks, locks, ds01 itself."""

from __future__ import annotations

import errno
import os
from typing import Any, NoReturn

from ds01.cli.session import Session
from ds01.errors import GpusUnreachable
from ds01.gpus import simulated
from ds01.records.store import commits
from ds01.system import files, locks
from tests.golden.case import Case, Stage, Step, docker_down, outside

_RUNNING = "container-deploy thesis pytorch --background"
_CREATED = "container-create thesis pytorch"
_FULL = "thesis._.70001"


def _fails_inside(error: BaseException) -> Step:
    def fail(session: Session) -> NoReturn:
        raise error

    def act(stage: Stage) -> None:
        stage.monkeypatch.setattr(Session, "gate", property(fail))

    return Step(f"{type(error).__name__} inside", act)


def _broken(text: str, *calls: str, words: str | None = None) -> Step:
    return outside(text, lambda stage: stage.ds.engine.break_container(_FULL, *calls, words=words))


def _full_disk(stage: Stage) -> None:
    def refuse(*arguments: Any, **more: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stage.monkeypatch.setattr(files, "replace", refuse)
    stage.monkeypatch.setattr(commits, "_write", refuse)


def _locked(stage: Stage) -> None:
    """Hold the container's lock, and let nobody wait for it."""
    lock = stage.ds.harness.ledger.container_lock(_FULL, doing="being stopped by bob")
    stage.monkeypatch.setattr(locks.clock, "now", stage.ds.harness.clock)
    stage.exits.enter_context(lock)
    moments = iter(range(0, 10**6, 1000))
    stage.monkeypatch.setattr(locks.time, "monotonic", lambda: next(moments))


def _no_driver(stage: Stage) -> None:
    def fail(*arguments: object, **more: object) -> NoReturn:
        raise GpusUnreachable("The GPUs cannot be observed.", why="NVML: Driver Not Loaded",
                              hint="`sudo ds01 doctor` says more", data={"problem": "driver"})  # fmt: skip

    stage.monkeypatch.setattr(simulated.SimulatedInventory, "observe", fail)


def _unreadable_record(stage: Stage) -> None:
    stage.ds.harness.record_file("alice").write_text("{")


CASES = [
    Case("Docker is not running", "container-list", (docker_down,)),
    Case("Docker is not running, for a script", "container-list --json", (docker_down,)),
    Case("Docker is not running, and a container is created", _CREATED, (docker_down,)),
    Case("Docker lost a part of a container", "container-start thesis", (_CREATED, _broken("RWLayer is nil"))),
    Case("Docker cannot start a container", "container-start thesis",
         (_CREATED, _broken("Docker fails", "start", words="OCI runtime create failed: no such file"))),
    Case("Docker cannot stop a container", "container-stop thesis",
         (_RUNNING,
          _broken("Docker fails", "stop", words="tried to kill container, but did not receive an exit event"))),
    Case("Docker lost its containers", "container-list",
         (_RUNNING, outside("another Docker", lambda stage: stage.path("state/simulated-engine.json").unlink()))),
    Case("A port is used by another program", "container-start thesis",
         (f"{_CREATED} -p 8080:80", outside("port 8080 is used", lambda stage: stage.ds.engine.occupy_port(8080)))),
    Case("The driver does not answer", _CREATED, (Step("the NVIDIA driver does not answer", _no_driver),)),
    Case("The driver does not answer, and nobody needs it", f"{_CREATED} --cpu-only",
         (Step("the NVIDIA driver does not answer", _no_driver),)),
    Case("The disk is full", _CREATED, (Step("the state directory's disk is full", _full_disk),)),
    Case("The disk is full, and a container is stopped", "container-stop thesis",
         (_RUNNING, Step("the state directory's disk is full", _full_disk))),
    Case("Somebody is at work on the container", "container-start thesis", (_CREATED, Step("bob stops it", _locked))),
    Case("A record that cannot be read", "container-list",
         (_RUNNING, Step("the record is not JSON", _unreadable_record))),
    Case("A file that cannot be read", "container-list",
         (_fails_inside(PermissionError(13, "Permission denied", "/var/log/ds01")),)),
    Case("An error in ds01", "container-list", (_fails_inside(RuntimeError("oops")),)),
    Case("Ctrl-C", "container-list", (_fails_inside(KeyboardInterrupt()),)),
]  # fmt: skip
