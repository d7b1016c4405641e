"""Determine which GPUs a container can reach, from its inspect data.

Docker can grant GPUs in six ways. A GPU that is overlooked here would be leased twice, so unclear access counts as
access to everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ds01.engines.protocol import Devices

_VARIABLE = "NVIDIA_VISIBLE_DEVICES"
_NO_DEVICES = ("", "void", "none")
_NVIDIA_MAJOR = "195:"  # of the device nodes /dev/nvidia*


def devices_of(inspected: Mapping[str, Any], default_runtime: Callable[[], str]) -> Devices:
    """Return the GPU access of an inspected container. `default_runtime` is called only if the answer depends on it."""
    host = inspected["HostConfig"]
    forms: list[str] = []
    ids: list[str] = []
    everything = False
    for form, found, all_devices in (
        _from_device_requests(host.get("DeviceRequests") or []),
        _from_cdi(host.get("DeviceRequests") or []),
        _from_device_nodes(host),
    ):
        if found or all_devices:
            forms.append(form)
            ids += found
            everything = everything or all_devices
    # A device request overwrites the variable, so the image's value counts only without a request.
    if not forms and _variable_counts(inspected, default_runtime):
        found, all_devices = _from_variable(environment_of(inspected))
        if found or all_devices:
            forms.append("environment")
            ids, everything = found, all_devices
    if host.get("Privileged"):
        # It has all of the host's device nodes. If it names some GPUs, only those count: AIME
        # makes all of its containers so, and each would block the server. What it really uses, NVML's processes tell.
        forms.insert(0, "privileged")
        everything = everything or not ids
    return Devices(tuple(dict.fromkeys(ids)), everything, ", ".join(forms) or None)


def environment_of(inspected: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a container or image, the image's included. An entry without `=` unsets a variable."""
    pairs = (entry.partition("=") for entry in (inspected.get("Config") or {}).get("Env") or [])
    return {name: value for name, sign, value in pairs if sign}


def _from_device_requests(requests: list[dict[str, Any]]) -> tuple[str, list[str], bool]:
    ids: list[str] = []
    everything = False
    for request in requests:
        if not _is_gpu_request(request):
            continue
        device_names = request.get("DeviceIDs") or []
        # A count means that many first GPUs, in an order that only the driver knows.
        everything = everything or bool(request.get("Count")) or "all" in device_names
        ids += [device for device in device_names if device not in ("all", *_NO_DEVICES)]
    return "device_request", ids, everything


def _is_gpu_request(request: Mapping[str, Any]) -> bool:
    if request.get("Driver") == "cdi":
        return False
    words = {word for group in request.get("Capabilities") or [] for word in group}
    return request.get("Driver") == "nvidia" or "gpu" in words or "nvidia" in words


def _from_cdi(requests: list[dict[str, Any]]) -> tuple[str, list[str], bool]:
    names = [name for request in requests if request.get("Driver") == "cdi" for name in request.get("DeviceIDs") or []]
    ids, everything = _cdi_ids(names)
    return "cdi", ids, everything


def _cdi_ids(names: list[str]) -> tuple[list[str], bool]:
    # VENDOR/CLASS=DEVICE, such as nvidia.com/gpu=0, nvidia.com/gpu=0:1, nvidia.com/gpu=GPU-…, nvidia.com/gpu=all
    devices = [name.partition("=")[2] for name in names if "nvidia" in name.partition("/")[0]]
    return [device for device in devices if device not in ("all", "")], any(d in ("all", "") for d in devices)


def _from_device_nodes(host: Mapping[str, Any]) -> tuple[str, list[str], bool]:
    # The number in /dev/nvidia0 is the driver's minor number, not NVML's index, so it does not identify a GPU.
    paths = [device.get("PathOnHost") or "" for device in host.get("Devices") or []]
    has_nodes = any(path.rstrip("/") == "/dev" or path.startswith("/dev/nvidia") for path in paths)
    has_rules = any(f" {_NVIDIA_MAJOR}" in f" {rule[2:].strip()}" for rule in host.get("DeviceCgroupRules") or [])
    return "device", [], has_nodes or has_rules


def _variable_counts(inspected: Mapping[str, Any], default_runtime: Callable[[], str]) -> bool:
    host = inspected["HostConfig"]
    # A GPU request without devices enables the hook, and the hook reads the variable.
    if any(_is_gpu_request(request) for request in host.get("DeviceRequests") or []):
        return True
    environment = environment_of(inspected)
    if _VARIABLE not in environment and "CUDA_VERSION" not in environment:
        return False
    runtime = host.get("Runtime") or default_runtime()
    return "nvidia" in runtime


def _from_variable(environment: Mapping[str, str]) -> tuple[list[str], bool]:
    if _VARIABLE not in environment:
        # NVIDIA's runtime gives all GPUs to CUDA images from before 2018, which do not set the variable.
        return [], "CUDA_VERSION" in environment and "NVIDIA_REQUIRE_CUDA" not in environment
    value = environment[_VARIABLE].strip()
    if value in _NO_DEVICES:
        return [], False
    device_names = [part.strip() for part in value.split(",") if part.strip()]
    cdi, everything = _cdi_ids([part for part in device_names if "=" in part])
    indexes = [part for part in device_names if "=" not in part and part != "all"]
    return indexes + cdi, everything or "all" in device_names
