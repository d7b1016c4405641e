"""Slots that look free but are in use outside ds01, and the reverse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ds01.engines.protocol import ContainerStatus, Devices
from ds01.gpus.model import GpuObservation, GpuProcess
from ds01.placement.outside_use import outside_use, uuids_from_labels
from ds01.policy.model import OutsideUse
from tests.unit.gpus.factories import foreign_container, observe_gpus

GPUS = observe_gpus("1xA100,1xA100:3x2g.10gb")
ALL = {"0", "1:0", "1:1", "1:2"}
OWN = "a" * 64
NOBODY = OutsideUse((), ())
UUID = {slot.slot: slot.uuid for slot in GPUS.slots}


def with_processes(name: str, *processes: GpuProcess) -> GpuObservation:
    slots = [replace(slot, processes=processes) if slot.slot == name else slot for slot in GPUS.slots]
    return replace(GPUS, slots=tuple(slots))


def test_no_outside_use_gives_no_blockers() -> None:
    assert outside_use(GPUS, [foreign_container(devices=Devices())], leased={}, outside=NOBODY) == {}


@pytest.mark.parametrize(
    ("devices", "busy"),
    [
        (Devices(("0",), form="device_request"), {"0"}),
        (Devices(("1",), form="device_request"), {"1:0", "1:1", "1:2"}),
        (Devices((UUID["1:1"],), form="environment"), {"1:1"}),
        (Devices(("nvidia.com/gpu=1:2",), form="cdi"), {"1:2"}),
        (Devices(everything=True, form="device_request"), ALL),
        (Devices(("something",), form="cdi"), ALL),
        (None, ALL),
    ],
)
@pytest.mark.parametrize("status", [ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.RESTARTING])
def test_foreign_running_container_blocks_its_devices(
    devices: Devices | None, busy: set[str], status: ContainerStatus
) -> None:
    found = outside_use(GPUS, [foreign_container(devices=devices, status=status)], leased={}, outside=OutsideUse())
    assert set(found) == busy
    for blocker in found.values():
        assert (blocker.what, blocker.who, blocker.key) == ("container", "jupyter", "outside.ignore_containers")


@pytest.mark.parametrize("status", [ContainerStatus.CREATED, ContainerStatus.EXITED, ContainerStatus.DEAD])
def test_foreign_stopped_container_blocks_nothing(status: ContainerStatus) -> None:
    at_rest = foreign_container(devices=Devices(everything=True), status=status)
    assert outside_use(GPUS, [at_rest], leased={}, outside=NOBODY) == {}


def test_ignored_container_blocks_nothing() -> None:
    exporter = foreign_container("dcgm-exporter", Devices(everything=True))
    gpus = with_processes("0", GpuProcess(7, "dcgm-exporter", exporter.id))
    assert outside_use(gpus, [exporter], leased={}, outside=OutsideUse()) == {}
    assert set(outside_use(gpus, [exporter], leased={}, outside=NOBODY)) == ALL


def test_lease_explains_processes_only_on_its_slots() -> None:
    own = foreign_container("mine._.1001", Devices((UUID["1:0"],)), identity=OWN)
    leased = {OWN: [UUID["1:0"]]}
    gpus = with_processes("1:0", GpuProcess(7, "python3", OWN))
    assert outside_use(gpus, [own], leased=leased, outside=NOBODY) == {}

    elsewhere = with_processes("1:1", GpuProcess(7, "python3", OWN))
    (blocker,) = outside_use(elsewhere, [own], leased=leased, outside=NOBODY).values()
    assert (blocker.what, blocker.who, blocker.key) == ("process", "python3", None)
    assert blocker.detail["container"] == "mine._.1001"
    (unlisted,) = outside_use(elsewhere, [], leased=leased, outside=NOBODY).values()
    assert unlisted.key is None


def test_host_process_always_blocks() -> None:
    gpus = with_processes("0", GpuProcess(7, "python3"))
    (blocker,) = outside_use(gpus, [], leased={OWN: list(UUID.values())}, outside=OutsideUse()).values()
    assert (blocker.what, blocker.who, blocker.key) == ("process", "python3", "outside.ignore_processes")
    assert blocker.detail["pid"] == 7


def test_unnamed_process_blocks_and_cannot_be_ignored() -> None:
    (blocker,) = outside_use(with_processes("0", GpuProcess(7)), [], leased={}, outside=OutsideUse()).values()
    assert (blocker.who, blocker.key) == ("unknown", None)


def test_process_of_a_foreign_container_names_the_container() -> None:
    privileged = foreign_container("privileged", Devices())
    gpus = with_processes("0", GpuProcess(7, "python3", privileged.id))
    (blocker,) = outside_use(gpus, [privileged], leased={}, outside=OutsideUse()).values()
    assert (blocker.what, blocker.who, blocker.key) == ("container", "privileged", "outside.ignore_containers")


def test_ignored_process_names_are_compared_truncated() -> None:
    gpus = with_processes("0", GpuProcess(7, "Xorg"), GpuProcess(8, "nvidia-cuda-mps-server"[:15]))
    assert outside_use(gpus, [], leased={}, outside=OutsideUse()) == {}
    assert set(outside_use(gpus, [], leased={}, outside=OutsideUse(ignore_processes=("Xorg",)))) == {"0"}


@pytest.mark.parametrize(
    "name",
    ["Xorg", "Xwayland", "gnome-shell", "gnome-remote-desktop-daemon", "kwin_x11", "kwin_wayland", "plasmashell",
     "nvidia-persistenced", "nvidia-smi", "nvidia-cuda-mps-control", "nv-hostengine", "nvtop", "telegraf", "netdata"],
)  # fmt: skip
def test_common_desktops_and_monitors_block_nothing(name: str) -> None:
    gpus = with_processes("0", GpuProcess(7, name[:15], memory_bytes=2 << 30))
    assert outside_use(gpus, [], leased={}, outside=OutsideUse()) == {}


@pytest.mark.parametrize(
    ("process", "below", "blocks"),
    [
        (GpuProcess(7, "blender", memory_bytes=511 << 20, graphics_only=True), 512 << 20, False),
        (GpuProcess(7, "blender", memory_bytes=512 << 20, graphics_only=True), 512 << 20, True),
        (GpuProcess(7, None, memory_bytes=4 << 20, graphics_only=True), 512 << 20, False),
        (GpuProcess(7, "blender", memory_bytes=None, graphics_only=True), 512 << 20, True),
        (GpuProcess(7, "blender", memory_bytes=8 << 30, graphics_only=True), None, False),
        (GpuProcess(7, "blender", memory_bytes=0, graphics_only=True), 0, True),
        (GpuProcess(7, "blender", memory_bytes=1 << 20), None, True),
        (GpuProcess(7, "blender", memory_bytes=1 << 20), 512 << 20, True),
    ],
)
def test_graphics_process_blocks_above_the_memory_limit(process: GpuProcess, below: int | None, blocks: bool) -> None:
    outside = OutsideUse((), (), ignore_graphics_below=below)
    assert bool(outside_use(with_processes("0", process), [], leased={}, outside=outside)) is blocks


def test_missing_process_list_can_be_ignored() -> None:
    guest = replace(GPUS, slots=tuple(replace(slot, processes=None, lists_processes=False) for slot in GPUS.slots))
    found = outside_use(guest, [], leased={}, outside=OutsideUse())
    assert {blocker.key for blocker in found.values()} == {"outside.ignore_missing_process_list"}
    ignoring = OutsideUse(ignore_missing_process_list=True)
    assert outside_use(guest, [], leased={}, outside=ignoring) == {}
    silent = replace(GPUS, slots=tuple(replace(slot, processes=None) for slot in GPUS.slots))
    assert set(outside_use(silent, [], leased={}, outside=ignoring)) == ALL


def test_unknown_processes_count_as_use() -> None:
    slots = [replace(slot, processes=None) if slot.slot == "1:2" else slot for slot in GPUS.slots]
    found = outside_use(replace(GPUS, slots=tuple(slots)), [], leased={}, outside=OutsideUse())
    assert {name: blocker.what for name, blocker in found.items()} == {"1:2": "unknown"}


def test_own_container_without_lease_blocks_its_slot() -> None:
    own = foreign_container("mine._.1001", Devices((UUID["1:0"],)), identity=OWN)
    (blocker,) = outside_use(GPUS, [own], leased={OWN: []}, outside=NOBODY).values()
    assert (blocker.who, blocker.key) == ("mine._.1001", None)
    assert outside_use(GPUS, [replace(own, devices=None)], leased={OWN: []}, outside=NOBODY) == {}
    assert outside_use(GPUS, [replace(own, status=ContainerStatus.EXITED)], leased={OWN: []}, outside=NOBODY) == {}


def test_labels_without_a_record_do_not_make_a_container_ours() -> None:
    """Containers inherit labels of their image, so labels alone prove nothing."""
    pretender = replace(foreign_container(devices=Devices(("0",))), labels={"ds01.managed": "true"})
    assert set(outside_use(GPUS, [pretender], leased={}, outside=NOBODY)) == {"0"}


def test_labels_without_a_readable_record_claim_slots() -> None:
    labels = {"ds01.gpu.uuids": f"{UUID['0']};{UUID['1:2']}"}
    claimed = dict.fromkeys(uuids_from_labels(labels), "lost._.1001")
    stopped = foreign_container("lost._.1001", Devices(("0",)), ContainerStatus.EXITED)
    found = outside_use(GPUS, [stopped], leased={}, outside=OutsideUse(("lost._.1001",), ()), claimed=claimed)
    assert {name: blocker.who for name, blocker in found.items()} == {"0": "lost._.1001", "1:2": "lost._.1001"}
    assert uuids_from_labels({}) == ()


def test_order_of_input_does_not_matter() -> None:
    containers = [foreign_container(name, Devices(("0",)), identity=name * 64) for name in "cab"]
    gpus = with_processes("1:0", GpuProcess(9, "b"), GpuProcess(8, "a"))
    first = outside_use(gpus, containers, leased={}, outside=NOBODY)
    assert (first["0"].who, first["1:0"].who) == ("a", "a")
    assert outside_use(gpus, containers[::-1], leased={}, outside=NOBODY) == first
