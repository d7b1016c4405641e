"""A policy with the bytes it was parsed from, so that a saved copy matches even if the file is edited meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ds01.dataclass import dataclass
from ds01.policy.model import Policy


@dataclass(frozen=True)
class PolicySources:
    """A policy, the content of its file, and the content of each file of members by name (`NAME.members`)."""

    policy: Policy
    content: bytes
    members: Mapping[str, bytes] = field(default_factory=dict)
