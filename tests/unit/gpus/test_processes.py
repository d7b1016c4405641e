"""Names and containers of processes, from the cgroups that Docker creates."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.gpus.processes import process_container, process_name
from ds01.gpus.profiles import profile_from_attributes, profile_in_device_name, profile_slices

ID = "0123456789abcdef" * 4
OTHER = "f" * 64


@pytest.mark.parametrize(
    ("cgroup", "container"),
    [
        (f"0::/system.slice/docker-{ID}.scope\n", ID),
        (f"0::/ds01.slice/ds01-students.slice/ds01-students-alice.slice/docker-{ID}.scope/init\n", ID),
        (f"12:pids:/docker/{ID}\n11:cpu,cpuacct:/docker/{ID}\n", ID),
        (f"4:memory:/ds01/students/alice/{ID}\n", ID),
        (f"0::/system.slice/docker-{ID}.scope/docker/{OTHER}\n", ID),
        (f"0::/machine.slice/libpod-{ID}.scope\n", ID),
        ("0::/user.slice/user-1001.slice/session-3.scope\n", None),
        (f"0::/docker/{ID}0\n", None),
        ("0::/docker/0123456789ab\n", None),
        ("", None),
    ],
)
def test_container_id_is_read_from_the_cgroup(tmp_path: Path, cgroup: str, container: str | None) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(cgroup)
    assert process_container(7, tmp_path) == container


def test_hidden_process_has_no_name_or_container(tmp_path: Path) -> None:
    assert (process_name(7, tmp_path), process_container(7, tmp_path)) == (None, None)


def test_process_name_can_be_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "comm").write_bytes(b"caf\xe9\n")
    assert process_name(7, tmp_path) == "caf\ufffd"


@pytest.mark.parametrize(
    ("device", "profile"),
    [
        ("NVIDIA A100-SXM4-40GB MIG 2g.10gb", "2g.10gb"),
        ("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb", "1c.3g.20gb"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb+me", "1g.10gb+me"),
        ("NVIDIA RTX PRO 6000 Blackwell MIG 1g.24gb+me.all", "1g.24gb+me.all"),
        ("NVIDIA RTX PRO 6000 Blackwell MIG 1g.24gb-me", "1g.24gb-me"),
        ("NVIDIA RTX PRO 6000 Blackwell MIG 2g.48gb+gfx", "2g.48gb+gfx"),
        ("NVIDIA H100 80GB HBM3 MIG 1c.2g.20gb", "1c.2g.20gb"),
        ("NVIDIA A100-SXM4-40GB", None),
    ],
)
def test_the_profile_ends_the_device_name(device: str, profile: str | None) -> None:
    assert profile_in_device_name(device) == profile


@pytest.mark.parametrize(
    ("gpu", "gpu_slices", "compute_slices", "memory", "profile"),
    [
        (40960, 2, 2, 9856, "2g.10gb"),
        (40960, 1, 1, 4864, "1g.5gb"),
        (40960, 3, 1, 19968, "1c.3g.20gb"),
        (81920, 7, 7, 80384, "7g.80gb"),
        (81559, 1, 1, 9984, "1g.10gb"),
        # as the driver lists them for an H200
        (143771, 1, 1, 16384, "1g.18gb"),
        (143771, 1, 1, 33280, "1g.35gb"),
        (143771, 2, 2, 33280, "2g.35gb"),
        (143771, 3, 3, 71424, "3g.71gb"),
        (143771, 4, 4, 71424, "4g.71gb"),
        (143771, 7, 7, 143360, "7g.141gb"),
    ],
)
def test_profile_is_built_from_attributes(
    gpu: int, gpu_slices: int, compute_slices: int, memory: int, profile: str
) -> None:
    made = profile_from_attributes(
        gpu_slices=gpu_slices, compute_slices=compute_slices, memory_mib=memory, gpu_memory_bytes=gpu << 20
    )
    assert made == profile


def test_the_slices_of_a_profile() -> None:
    assert [profile_slices(profile) for profile in ("2g.10gb", "1c.3g.20gb", "what")] == [2, 1, None]
