"""What needs an administrator, from the view alone: the short form of what `ds01 doctor` would find. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ds01.api.seeing.server_view import DiskView, OutsideView, ServerContainer, ServerGpu, ServerSlot, TickView
from ds01.observe.server.outside import describe_use
from ds01.policy.units import readable_size

STALE_TICK = timedelta(minutes=20)  # four runs of cron without a tick
FULL_DISK = 0.05  # fraction that is free


def find_complaints(
    now: datetime,
    *,
    tick: TickView,
    gpus: Sequence[ServerGpu],
    slots: Sequence[ServerSlot],
    containers: Sequence[ServerContainer],
    outside: Sequence[OutsideView],
    disks: Sequence[DiskView],
) -> tuple[str, ...]:
    """Return the complaints, the most important first."""
    return (
        *_of_tick(tick, now),
        *(f"GPU {gpu.index}: {gpu.unhealthy}" for gpu in gpus if gpu.unhealthy),
        *(f"the GPU {slot.slot}{_of(slot.user)} is lost: {slot.why}" for slot in slots if slot.lost),
        *(
            f"{item.container.name} of {item.container.user}: {item.container.conflict}"
            for item in containers
            if item.container.conflict
        ),
        *_of_outside(outside),
        *(
            f"{disk.path} is nearly full: {readable_size(disk.free_bytes)} of {readable_size(disk.total_bytes)} left"
            for disk in disks
            if disk.total_bytes and disk.free_bytes / disk.total_bytes < FULL_DISK
        ),
    )


def _of(user: str | None) -> str:
    return f" of {user}" if user else ""  # a public view may have no names


def _of_outside(outside: Sequence[OutsideView]) -> Iterator[str]:
    """Yield a complaint for each slot, with its first use."""
    uses: dict[str, list[OutsideView]] = {}
    for use in outside:
        uses.setdefault(use.slot, []).append(use)
    for slot, of_slot in uses.items():
        more = f" and {len(of_slot) - 1} more" if len(of_slot) > 1 else ""
        yield f"{slot} is used outside ds01 by {describe_use(of_slot[0])}{more}"


def _of_tick(tick: TickView, now: datetime) -> Iterator[str]:
    if tick.started_at is None:
        yield "no tick has run yet: nothing is warned, stopped or released automatically"
    elif tick.last_good_at is None:
        yield "no tick has succeeded yet"
    elif now - tick.last_good_at > STALE_TICK:
        minutes = (now - tick.last_good_at) // timedelta(minutes=1)
        yield f"the last good tick was {minutes} minutes ago"
    elif tick.errors:
        yield f"the last tick could not do all of its work: {tick.errors[0]}"
