"""Observe the engine and the GPUs, and check that the answers can be trusted. No answer is not an answer."""

from __future__ import annotations

from ds01.engines.protocol import Engine, EngineContainer, EngineInfo
from ds01.errors import Ds01Error, GpusUnreachable
from ds01.gpus.inventory import LIBRARY_NOT_FOUND, GpuInventory
from ds01.gpus.model import GpuObservation
from ds01.gpus.slot_names import display_names
from ds01.journal.events import Emit
from ds01.lifecycle.context.gpu_processes import has_hidden_processes, with_kept_names
from ds01.records.entries import Entries
from ds01.records.ledger import Ledger, UnreadableRecord
from ds01.records.record import Record
from ds01.system.clock import Clock


class Observer:
    """Observes one engine and one server's GPUs, for the duration of a command or a tick."""

    def __init__(self, ledger: Ledger, engine: Engine, inventory: GpuInventory, clock: Clock, emit: Emit) -> None:
        self._ledger = ledger
        self._engine = engine
        self._inventory = inventory
        self._clock = clock
        self._emit = emit
        self._facts: EngineInfo | None = None
        self._listed = False  # whether all containers were listed since `_facts` was read
        self._not_inspected: set[str] = set()  # containers for which an event was written

    def containers(self) -> list[EngineContainer]:
        """List all containers, after checking that this is the engine of last time. Raises EngineUnreachable."""
        self._facts = self._engine.info()
        recorded = self._ledger.docker_ids()  # before the list, or containers created meanwhile would seem missing
        containers = self._engine.containers()
        listed = {container.id for container in containers}
        self._ledger.check_engine(self._facts, listed=listed, recorded=recorded, now=self._clock())
        self._listed = True
        return containers

    def containers_again(self) -> list[EngineContainer]:
        """List all containers again after reconcile changed something, without checking the engine."""
        return self._engine.containers()

    def check_engine(self) -> None:
        """Check that this is the engine of last time, before asking about one container. Raises as `containers`."""
        self._facts = self._engine.info()
        self._listed = False
        if not self._ledger.is_same_engine(self._facts):
            self.containers()

    def confirm_absence(self) -> None:
        """Check that a missing container vanished alone, and not with all others. Raises as `containers`."""
        if not self._listed:
            self.containers()

    def engine_facts(self) -> EngineInfo:
        """Return the engine's facts from the last check, or ask for them.

        After a restart they are needed for many containers, and asking each time would double the duration.
        """
        if self._facts is None:
            self._facts = self._engine.info()
        return self._facts

    def gpus(self, *, utilisation: bool = False) -> GpuObservation:
        """Return the GPUs; none on a server without NVIDIA driver and without evidence of a GPU.

        The evidence matters: the library is missing for a moment while the driver's package is replaced, and a driver
        finds no GPU once all have failed.
        `utilisation` adds the utilisation of MIG instances, which takes too long for an allocation.
        Raises GpusUnreachable.
        """
        try:
            observation = self._inventory.observe(utilisation=utilisation)
        except GpusUnreachable as error:
            data = error.data or {}
            if data.get("problem") != LIBRARY_NOT_FOUND:
                raise
            evidence = gpu_evidence(self._ledger.read(), data.get("cards", 0))
            if evidence is None:
                return NO_GPUS
            raise GpusUnreachable(
                error.message,
                why=f"libnvidia-ml.so.1 is missing, although {evidence}",
                hint="if the driver is being updated, try again in a minute; otherwise an administrator has to "
                "reinstall it. --cpu-only needs no GPU",
                data=data,
            ) from error
        if not observation.gpus and not observation.simulated:
            evidence = gpu_evidence(self._ledger.read(), 0)
            if evidence is not None:
                raise GpusUnreachable(
                    "The driver finds no GPU.",
                    why=f"NVML answers and lists none, although {evidence}",
                    hint="an administrator should check `nvidia-smi` and the kernel's log. --cpu-only needs no GPU",
                    data={"problem": "no_devices"},
                )
        if has_hidden_processes(observation):
            observation = with_kept_names(observation, self._ledger.gpu_processes(), self._clock())
        return observation

    def report_uninspectable(self, container: EngineContainer | str, error: Ds01Error) -> None:
        """Emit an event for a container that the engine cannot inspect, once for each container."""
        name = container if isinstance(container, str) else container.name or container.id
        if name in self._not_inspected:
            return
        self._not_inspected.add(name)
        entry = self._ledger.read().get(name)
        user = entry.user if isinstance(entry, Record) else None
        event = {"actor": "observed", "container": name, "user": user}
        self._emit("not_inspected", event | {"why": f"{error.message}: {error.why}" if error.why else error.message})


NO_GPUS = GpuObservation((), (), "none")


def gpu_evidence(entries: Entries, cards: int) -> str | None:
    """Describe the evidence that this server has GPUs although NVML shows none; None without evidence."""
    if cards:
        return f"{cards} NVIDIA card{' is' if cards == 1 else 's are'} on the PCI bus"
    for name, entry in sorted(entries.items()):
        if isinstance(entry, UnreadableRecord):
            return f"the record of {name} cannot be read and may have a GPU"
        refs = entry.lease.slots if entry.lease is not None else entry.gpus_fixed
        if refs:
            return f"{entry.name} of {entry.user} has GPU {display_names(refs)}"
    return None
