"""The `-g` option of mlc-create: a number, `all`, or devices by name, which ds01 refuses."""

from __future__ import annotations

from collections import Counter

from ds01.api.listing import ListContainers
from ds01.api.server import GetGpuStatus, GetLimits
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_count
from ds01.errors import PermissionDenied, UsageError


def parse_gpu_count(session: Session, text: str | None) -> int | None:
    """Return the number of GPUs; None: not specified, so the default. Raises PermissionDenied, UsageError."""
    lowered = (text or "").strip().strip("'\"").casefold()
    if text is None:
        return None
    if lowered == "all":
        return _count_all_gpus(session)
    if lowered in ("none", "void"):
        return 0
    if lowered.startswith("device"):
        raise PermissionDenied(
            "GPUs cannot be requested by name, only by number",
            why=f"-g {text} may name a GPU that somebody else has",
            hint="`-g 1` takes one that is free; `ds01 gpu status` shows them",
        )
    if not (lowered.isascii() and lowered.isdigit() and len(lowered) <= 4):
        raise UsageError(f"'{text}' is not a number of GPUs", hint="`-g 1`, or `-g all` for as many as you may have")
    return int(lowered)


def _count_all_gpus(session: Session) -> int | None:
    """Return how many GPUs one more container of the owner may have, and print the reason. None: CPU only."""
    limits = session.run(GetLimits(owner=session.owner.uid)).limits.limits
    limits_by_reason = {"that is what one container may have (max_gpus_per_container)": limits.max_gpus_per_container}
    if limits.max_mig_instances is not None:
        views = session.run(ListContainers(owner=session.owner.uid)).containers
        left = limits.max_mig_instances - sum(len(view.gpus) for view in views)
        # With nothing left, ask for one: the refusal then says who has them.
        limits_by_reason["that is what is left of your quota (max_mig_instances)"] = max(
            left, min(1, limits.max_mig_instances)
        )
    kinds = Counter((slot.kind, slot.profile) for slot in session.run(GetGpuStatus()).present)
    limits_by_reason["that is what this server has of one kind"] = max(kinds.values(), default=0)
    why, count = min(
        ((why, limit) for why, limit in limits_by_reason.items() if limit is not None), key=lambda pair: pair[1]
    )
    if count == 0:
        return None  # CPU only; the reason is shown when the container is created
    session.say(f"-g all: {format_count(count, 'GPU')}; {why}.")
    return count
