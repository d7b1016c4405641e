"""A plan of an image, of which tests change single fields."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ds01.images.dockerfile import ImagePlan
from ds01.images.packages import load_package_sets
from ds01.system.settings import config_file

SETS = load_package_sets(config_file("packages.yaml"))
PLAN: dict[str, Any] = {
    "name": "thesis",
    "login": "alice",
    "uid": 1001,
    "base": "pytorch/pytorch:2.5.1-cuda11.8-cudnn9-runtime",
    "framework": "Pytorch-2.5.1-plain",
    "provides": ("torch", "torchvision", "torchaudio", "numpy"),
    "jupyter": True,
    "base_packages": SETS.base.requirements,
    "use_case": None,
    "packages": (),
    "extra": None,
    "system": (),
    "created": datetime(2026, 11, 22, 14, 30, tzinfo=timezone.utc),
    "ds01_version": "0.1.0",
    "sets": SETS,
}
BARE: dict[str, Any] = {"jupyter": False, "base_packages": ()}


def plan(**changed: Any) -> ImagePlan:
    """Return a usual plan with some fields changed."""
    return ImagePlan(**{**PLAN, **changed})
