"""Say in one line that little of a lease is used, and the command for what would do."""

from __future__ import annotations

import shlex

from ds01.api.answers import UsageAdvice
from ds01.api.measures import GetUsageAdvice
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_duration


def get_advice(session: Session, container: str) -> UsageAdvice | None:
    """Return an advice on a container that is about to be stopped; None without one, or if nobody would see it."""
    return None if session.quiet or session.as_json else session.run(GetUsageAdvice(container))


def describe_advice(name: str, advice: UsageAdvice, *, release: bool = False, past: bool = False) -> str | None:
    """Return the line; None if there is no alternative to name.

    `release`: the GPU could be given back now. `past`: its use is over.
    """
    gpus = "its GPU" if advice.slots == 1 else f"its {advice.slots} GPUs"
    percent = f"{advice.utilisation_percent:.0f} %" if advice.utilisation_percent >= 1 else "less than 1 %"
    ways = []
    if (option := _option(advice)) is not None:
        when = " next time" if past else ""
        ways.append(f"`container-deploy {shlex.quote(name)} {option}` would do{when}")
    if release:
        them = "it" if advice.slots == 1 else "them"
        ways.append(f"`container-stop {shlex.quote(name)} --release` gives {them} back")
    if not ways:
        return None
    return f"{name} used {percent} of {gpus} in {format_duration(advice.measured)}: {', or '.join(ways)}."


def _option(advice: UsageAdvice) -> str | None:
    if advice.cpu_only:
        return "--cpu-only"
    if advice.count is not None:
        return f"--gpus {advice.count}"
    return f"--profile {advice.profile}" if advice.profile is not None else None
