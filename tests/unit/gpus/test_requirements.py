"""`NVIDIA_REQUIRE_CUDA` against a driver: only what is certainly not met is refused."""

from __future__ import annotations

import pytest

from ds01.gpus.requirements import DriverInfo, GpuInfo, Requirement, image_requirements, is_unmet

A100 = GpuInfo("tesla", "8.0")
GEFORCE = GpuInfo("geforcertx", "8.6")
DRIVER = DriverInfo("535.104.05", "12.2")
# As NVIDIA's image of CUDA 12.4 says it, shortened.
CUDA_12_4 = (
    "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=tesla,driver>=535,driver<536 "
    "brand=quadrortx,driver>=535,driver<536"
)


def fails(text: str, driver: DriverInfo = DRIVER, gpu: GpuInfo = A100) -> bool:
    return is_unmet(Requirement("NVIDIA_REQUIRE_CUDA", text), driver, gpu)


@pytest.mark.parametrize(
    ("text", "is_unmet"),
    [
        ("cuda>=12.2", False),
        ("cuda>=12.2.1", True),
        ("cuda>=12.4", True),
        ("cuda>=9.2", False),  # numbers, not texts
        ("CUDA>=12.4", True),
        ("cuda>12.2", True),
        ("cuda<12.3", False),
        ("cuda!=12.2", True),
        ("cuda=12.2", False),
        ("cuda>=12.4,driver>=500", True),
        ("cuda>=12.4 driver>=500", False),
        ("driver>=550", True),
        ("arch>=9.0", True),
        ("arch>=7.5", False),
        ("brand=tesla", False),
        ("brand!=tesla", True),
        ("brand=geforce", True),
        (CUDA_12_4, False),  # a data centre's card with this driver has forward compatibility
    ],
)
def test_conditions_hold_as_nvidias_toolkit_reads_them(text: str, is_unmet: bool) -> None:
    assert fails(text) is is_unmet


def test_alternative_for_other_brands_does_not_apply() -> None:
    assert fails(CUDA_12_4, gpu=GEFORCE)
    assert not fails(CUDA_12_4, gpu=GpuInfo("quadrortx"))


@pytest.mark.parametrize("text", ["cuda>=99", "driver>=999", "brand=nvs", "arch>=99"])
def test_unknown_properties_may_meet_a_requirement(text: str) -> None:
    assert not fails(text, DriverInfo(), GpuInfo())


@pytest.mark.parametrize("text", ["", "cuda", "cuda>=", "cuda>=new", "weather=fine", ",,", "brand>=tesla"])
def test_unparsable_condition_refuses_nothing(text: str) -> None:
    assert not fails(text)


def test_condition_beside_an_unparsable_one_counts() -> None:
    assert fails("cuda>=12.4,weather=fine")


def test_the_variables_of_an_image() -> None:
    found = image_requirements(
        {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4", "NVIDIA_REQUIRE_ARCH": "arch>=8.0", "PATH": "/bin"}
    )
    assert [item.variable for item in found] == ["NVIDIA_REQUIRE_ARCH", "NVIDIA_REQUIRE_CUDA"]
    assert image_requirements({"NVIDIA_REQUIRE_JETPACK": "csv-mounts=all", "NVIDIA_REQUIRE_CUDA": " "}) == ()


@pytest.mark.parametrize("value", ["1", "true", "True"])
def test_an_image_can_switch_its_requirements_off(value: str) -> None:
    assert image_requirements({"NVIDIA_REQUIRE_CUDA": "cuda>=99", "NVIDIA_DISABLE_REQUIRE": value}) == ()


def test_image_with_cuda_version_only_requires_it() -> None:
    (found,) = image_requirements({"CUDA_VERSION": "12.8.1"})
    assert (found.text, found.oldest_cuda) == ("cuda>=12.8", "12.8")
    assert len(image_requirements({"CUDA_VERSION": "12.8.1", "NVIDIA_REQUIRE_CUDA": "cuda>=11.0"})) == 1


def test_oldest_cuda_of_unconditional_alternatives() -> None:
    assert Requirement("X", "cuda>=12.10 cuda>=12.4 cuda>=11.0,brand=tesla").oldest_cuda == "12.4"
    assert Requirement("X", "driver>=550").oldest_cuda is None
