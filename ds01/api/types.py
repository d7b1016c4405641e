"""Plain data from lower packages that crosses the gate's boundary, and the check of image references."""

from __future__ import annotations

from ds01.engines.protocol import Attachment, EngineInfo, ExecRequest, Progress, PublishedPort
from ds01.engines.references import is_reference
from ds01.placement.allocation_input import SlotState
from ds01.records.deadlines import NEXT_ACTIONS, Deadline
from ds01.records.request import BuildRequest, ContainerRequest
from ds01.records.state_machine import Trigger

__all__ = [
    "NEXT_ACTIONS",
    "Attachment",
    "BuildRequest",
    "ContainerRequest",
    "Deadline",
    "EngineInfo",
    "ExecRequest",
    "Progress",
    "PublishedPort",
    "SlotState",
    "Trigger",
    "is_reference",
]
