"""Images with programs below /root: the create warns, with the line that fixes it."""

from __future__ import annotations

import pytest

from ds01.engines.protocol import PathStatus
from ds01.lifecycle.spec.root_only import closed_programs, warning
from tests.harness import Harness

STANDARD = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLOSED = {"/root": PathStatus(0o700)}
UV = "/root/.local/share/uv/python/bin/python3.12"


def said(path: str, statuses: dict[str, PathStatus], uid: int = 1001) -> str | None:
    return warning("a/b", uid, closed_programs({"PATH": path}, statuses.get))


@pytest.mark.parametrize(
    ("path", "statuses", "named"),
    [
        (f"/root/miniconda3/bin:{STANDARD}", CLOSED, "PATH has /root/miniconda3/bin"),
        (f"{STANDARD}:/root/.local/bin/", CLOSED, "PATH has /root/.local/bin"),
        (f"/opt/venv/bin:{STANDARD}", {**CLOSED, "/opt/venv/bin/python": PathStatus(0o777, UV)}, UV),
        (STANDARD, {**CLOSED, "/usr/local/bin/python3": PathStatus(0o777, UV)}, "/usr/local/bin/python3"),
        (f"/root/x/bin:{STANDARD}", {**CLOSED, "/root/x": PathStatus(0o750)}, "RUN chmod a+rx /root /root/x"),
    ],
)  # fmt: skip
def test_what_only_root_can_start_is_named(path: str, statuses: dict[str, PathStatus], named: str) -> None:
    found = said(path, statuses)
    assert found is not None and named in found and "RUN chmod a+rx /root" in found


@pytest.mark.parametrize(
    ("path", "statuses", "uid"),
    [
        (STANDARD, CLOSED, 1001), (f"/root/bin:{STANDARD}", {"/root": PathStatus(0o755)}, 1001),
        (f"/root/bin:{STANDARD}", {}, 1001), (f"/root/bin:{STANDARD}", CLOSED, 0), ("", CLOSED, 1001),
        (f"/rootless/bin:{STANDARD}", CLOSED, 1001),
        (f"/opt/venv/bin:{STANDARD}", {**CLOSED, "/opt/venv/bin/python": PathStatus(0o777, "/usr/bin/python3")}, 1001),
    ],
)  # fmt: skip
def test_what_works_is_not_warned_of(path: str, statuses: dict[str, PathStatus], uid: int) -> None:
    assert said(path, statuses, uid) is None


def looks(path: str, statuses: dict[str, PathStatus]) -> list[str]:
    """The paths that are looked at."""
    asked: list[str] = []

    def stat(path: str) -> PathStatus | None:
        asked.append(path)
        return statuses.get(path)

    closed_programs({"PATH": path}, stat)
    return asked


def test_only_the_first_python_in_path_is_looked_at() -> None:
    torch = f"/opt/conda/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:{STANDARD}"
    conda = {"/opt/conda/bin/python3": PathStatus(0o777, "/opt/conda/bin/python3.11")}
    assert looks(torch, {**conda, "/usr/local/bin/python3": PathStatus(0o777, UV)}) == ["/opt/conda/bin/python3"]
    assert looks(STANDARD, {}) == ["/usr/local/bin/python3", "/usr/local/bin/python"]


@pytest.mark.parametrize("folder", ["/workspace/venv/bin", "/data/bin", "/models/../workspace/bin"])
def test_what_is_mounted_is_not_the_images(folder: str) -> None:
    assert looks(folder, {f"{folder}/python3": PathStatus(0o777, UV)}) == []


@pytest.mark.parametrize("image", ["lab/rootconda", "lab/rootuv"])
def test_create_warns_and_makes_the_container(image: str, harness: Harness) -> None:
    acted = harness.gate.create(harness.actor("alice"), harness.request("alice", image=image))
    assert any("RUN chmod a+rx /root" in text for text in acted.warnings)
    assert not harness.gate.create(harness.actor("bob"), harness.request("bob")).warnings
