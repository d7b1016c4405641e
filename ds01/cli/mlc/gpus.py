"""What `-g` of mlc-create means: a number, `all`, or devices by name, which ds01 does not give."""

from __future__ import annotations

from collections import Counter

from ds01.api.containers import ListContainers
from ds01.api.server import GetGpuStatus, GetLimits
from ds01.cli.session import Session
from ds01.cli.words import counted
from ds01.errors import Refused, WrongUse


def request_of(session: Session, text: str | None) -> int | None:
    """How many GPUs are asked for; None: nothing was said, which is one. Raises Refused, WrongUse."""
    word = (text or "").strip().strip("'\"").casefold()
    if text is None:
        return None
    if word == "all":
        return _all(session)
    if word in ("none", "void"):
        return 0
    if word.startswith("device"):
        raise Refused(
            "GPUs are lent by number, not by name",
            why=f"-g {text} would take a GPU that somebody else may have",
            hint="-g 1 takes one that is free; `ds01 gpu status` shows them",
        )
    if not (word.isascii() and word.isdigit() and len(word) <= 4):
        raise WrongUse(f"'{text}' is not a number of GPUs", hint="-g 1, or -g all")
    return int(word)


def _all(session: Session) -> int | None:
    """What one more container of the owner's may have, which is said."""
    limits = session.run(GetLimits(owner=session.owner.uid)).limits.limits
    caps = {"that is what one container may have (max_gpus_per_container)": limits.max_gpus_per_container}
    if limits.max_mig_instances is not None:
        views = session.run(ListContainers(owner=session.owner.uid)).containers
        left = limits.max_mig_instances - sum(len(view.gpus) for view in views)
        # With nothing left the one that is asked for is refused, in words that say who has them.
        caps["that is what is left of your quota (max_mig_instances)"] = max(left, min(1, limits.max_mig_instances))
    kinds = Counter((slot.kind, slot.profile) for slot in session.run(GetGpuStatus()).present)
    caps["that is what this server has of one kind"] = max(kinds.values(), default=0)
    why, count = min(((why, cap) for why, cap in caps.items() if cap is not None), key=lambda pair: pair[1])
    if count == 0:
        return None  # CPU only, and why is said when it is made
    session.say(f"-g all: {counted(count, 'GPU')}; {why}.")
    return count
