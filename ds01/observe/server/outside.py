"""Use of GPUs outside ds01: which containers and processes, of whom, since when. Pure but for what is in /proc."""

from __future__ import annotations

from collections.abc import Callable

from ds01.api.seeing.server_view import OutsideView
from ds01.gpus.model import Blocker, slot_sort_key
from ds01.observe.server.process_owners import ProcessOwner, process_command
from ds01.placement.allocation_input import AllocationInput, describe_blocker

FindCommand = Callable[[int], str | None]


def outside_views(
    inputs: AllocationInput,
    find_owner: Callable[[int], ProcessOwner],
    find_command: FindCommand = process_command,
) -> tuple[OutsideView, ...]:
    """Return all that uses slots without a lease, by slot.

    The processes of a container say more than the container alone, which is left out then.
    """
    uses = sorted(inputs.uses, key=lambda use: slot_sort_key(use[0]))
    with_processes = {(slot, use.detail.get("docker_id")) for slot, use in uses if pid_of(use) is not None}
    return tuple(
        _view(slot, use, find_owner, find_command)
        for slot, use in uses
        if pid_of(use) is not None or (slot, use.detail.get("docker_id") or "") not in with_processes
    )


def _view(
    slot: str, blocker: Blocker, find_owner: Callable[[int], ProcessOwner], find_command: FindCommand
) -> OutsideView:
    pid = pid_of(blocker)
    if pid is None:
        who = describe_blocker(blocker) if blocker.what == "unknown" else blocker.who
        return OutsideView(slot, blocker.what, who, None, None, None)
    owner = find_owner(pid)
    name = blocker.who if blocker.what == "process" else blocker.detail.get("process")
    command = find_command(pid) or (str(name) if name else None)
    return OutsideView(slot, blocker.what, blocker.who, owner.user, pid, owner.since, command)


def pid_of(blocker: Blocker) -> int | None:
    """Return the process of a blocker; None for a container as a whole, or if it is unknown."""
    pid = blocker.detail.get("pid")
    return pid if isinstance(pid, int) else None


def describe_use(use: OutsideView) -> str:
    """Describe a use in a few words, without slot and command."""
    if use.what == "unknown":
        return use.who or "something unknown"
    if not use.who:  # a public view names nothing
        return f"a {use.what}"
    words = f"{use.what} {use.who}"
    if use.pid is not None:
        words += f" (pid {use.pid})"
    return f"{words} of {use.user}" if use.user is not None else words


def describe_in_full(use: OutsideView) -> str:
    """Describe a use with its start and command, for administrators."""
    since = f" since {use.since:%Y-%m-%d %H:%M} UTC" if use.since is not None else ""
    return f"{describe_use(use)}{since}{f': {use.command}' if use.command else ''}"
