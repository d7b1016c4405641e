from __future__ import annotations

from typing import Any

import pytest

from ds01.engines.docker.devices import devices_of
from ds01.engines.protocol import Devices

NONE = Devices()
ALL_BY_VARIABLE = Devices((), True, "environment")


def inspected(*env: str, runtime: str = "runc", requests: list[Any] | None = None, **host: Any) -> dict[str, Any]:
    return {
        "Config": {"Env": list(env) or None},
        "HostConfig": {"Runtime": runtime, "DeviceRequests": requests, **host},
    }


def must_not_ask() -> str:
    raise AssertionError("the default runtime was asked for")


@pytest.mark.parametrize(
    ("value", "devices"),
    [
        ("all", ALL_BY_VARIABLE),
        ("0,1", Devices(("0", "1"), False, "environment")),
        (" GPU-1 , MIG-2", Devices(("GPU-1", "MIG-2"), False, "environment")),
        ("0:1", Devices(("0:1",), False, "environment")),
        ("nvidia.com/gpu=0,nvidia.com/gpu=MIG-1", Devices(("0", "MIG-1"), False, "environment")),
        ("nvidia.com/gpu=all", ALL_BY_VARIABLE),
        ("0,all", Devices(("0",), True, "environment")),
        ("void", NONE),
        ("none", NONE),
        ("", NONE),
    ],
)
def test_the_variable_counts_under_an_nvidia_runtime_only(value: str, devices: Devices) -> None:
    variable = f"NVIDIA_VISIBLE_DEVICES={value}"
    assert devices_of(inspected(variable, runtime="nvidia"), must_not_ask) == devices
    assert devices_of(inspected(variable, runtime="nvidia-legacy"), must_not_ask) == devices
    assert devices_of(inspected(variable, runtime=""), lambda: "nvidia") == devices
    assert devices_of(inspected(variable, runtime=""), lambda: "runc") == NONE
    assert devices_of(inspected(variable, runtime="runc"), must_not_ask) == NONE


def test_the_default_runtime_is_asked_for_only_if_it_matters() -> None:
    assert devices_of(inspected("PATH=/bin", runtime=""), must_not_ask) == NONE


def test_an_old_cuda_image_gets_everything_from_nvidias_runtime() -> None:
    old = inspected("CUDA_VERSION=9.0", runtime="nvidia")
    new = inspected("CUDA_VERSION=12.0", "NVIDIA_REQUIRE_CUDA=cuda>=12", runtime="nvidia")
    assert devices_of(old, must_not_ask) == ALL_BY_VARIABLE
    assert devices_of(new, must_not_ask) == NONE


@pytest.mark.parametrize(
    ("request_", "devices"),
    [
        ({"DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}, Devices(("GPU-1",), False, "device_request")),
        ({"Driver": "nvidia", "DeviceIDs": ["1"]}, Devices(("1",), False, "device_request")),
        ({"DeviceIDs": ["all"], "Capabilities": [["gpu"]]}, Devices((), True, "device_request")),
        ({"Count": -1, "Capabilities": [["gpu"]]}, Devices((), True, "device_request")),
        ({"Count": 1, "Capabilities": [["compute"], ["gpu"]]}, Devices((), True, "device_request")),
        ({"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}, Devices(("0",), False, "cdi")),
        ({"Driver": "cdi", "DeviceIDs": ["management.nvidia.com/gpu=all"]}, Devices((), True, "cdi")),
        ({"Driver": "cdi", "DeviceIDs": ["vendor.com/net=eth1"]}, NONE),
        ({"Driver": "other", "DeviceIDs": ["x"], "Capabilities": [["tpu"]]}, NONE),
    ],
)
def test_a_device_request_counts_in_each_form(request_: dict[str, Any], devices: Devices) -> None:
    assert devices_of(inspected(requests=[request_]), must_not_ask) == devices


def test_several_requests_add_up() -> None:
    requests = [
        {"DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]]},
        {"DeviceIDs": ["GPU-2"], "Capabilities": [["gpu"]]},
        {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=3"]},
    ]
    assert devices_of(inspected(requests=requests), must_not_ask) == Devices(
        ("GPU-1", "GPU-2", "3"), False, "device_request, cdi"
    )


def test_a_request_overrules_the_images_variable() -> None:
    requests = [{"DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}]
    found = devices_of(inspected("NVIDIA_VISIBLE_DEVICES=all", runtime="nvidia", requests=requests), must_not_ask)
    assert found == Devices(("GPU-1",), False, "device_request")


def test_a_request_for_nothing_lets_the_variable_speak() -> None:
    requests = [{"Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]]}]
    assert devices_of(inspected("NVIDIA_VISIBLE_DEVICES=all", requests=requests), must_not_ask) == ALL_BY_VARIABLE


@pytest.mark.parametrize("path", ["/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap1", "/dev", "/dev/"])
def test_device_nodes_amount_to_everything(path: str) -> None:
    assert devices_of(inspected(Devices=[{"PathOnHost": path}]), must_not_ask) == Devices((), True, "device")


def test_other_device_nodes_are_no_gpus() -> None:
    devices = [{"PathOnHost": "/dev/fuse"}, {"PathOnHost": "/dev/ttyUSB0"}]
    assert devices_of(inspected(Devices=devices, DeviceCgroupRules=["c 10:229 rwm"]), must_not_ask) == NONE


def test_a_device_rule_for_nvidias_number_amounts_to_everything() -> None:
    assert devices_of(inspected(DeviceCgroupRules=["c 195:* rmw"]), must_not_ask) == Devices((), True, "device")


def test_privileged_is_everything_unless_gpus_were_named() -> None:
    requests = [{"DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}]
    found = devices_of(inspected(Privileged=True, requests=requests), must_not_ask)
    assert found == Devices(("GPU-1",), False, "privileged, device_request")
