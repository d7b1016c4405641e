"""The utilisation of the last hour, minute by minute: from the ticks before the dashboard began, then its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime

from ds01.api.seeing.operations import SlotUse
from ds01.api.seeing.server_view import ServerView
from ds01.cli.ui.bars import UNKNOWN
from ds01.dataclass import dataclass

MINUTES = 60
PERIOD = 10  # minutes of one column of the grid
LEVELS = "▁▂▃▄▅▆▇█"
NOT_SAMPLED = " "


@dataclass
class Minute:
    """The samples of one slot in one minute. `known`: those whose utilisation was known; `total`: their sum."""

    minute: int
    user: str | None
    total: float = 0.0
    known: int = 0


@dataclass(frozen=True)
class Use:
    """The use that one owner made of GPUs in one period. `percent` None: unknown. `slots`: the mean number of them."""

    percent: float | None
    slots: float


class History:
    """Minutes by slot and by GPU. Not for several threads."""

    def __init__(self) -> None:
        self._minutes: dict[str, deque[Minute]] = {}
        self._sampled: deque[int] = deque(maxlen=MINUTES)  # the minutes in which there was a sample

    def prefill(self, uses: Iterable[SlotUse]) -> None:
        """Begin with what the ticks measured before the dashboard was started. In the order of time."""
        sampled: set[int] = set()
        for use in uses:
            for minute in range(minute_of(use.since), minute_of(use.until)):
                self._add(f"slot {use.uuid}", minute, use.user, use.percent)
                sampled.add(minute)
        self._sampled.extend(sorted(sampled))

    def add(self, view: ServerView) -> None:
        """Add the utilisation of a view."""
        minute = minute_of(view.at)
        if not self._sampled or self._sampled[-1] != minute:
            self._sampled.append(minute)
        for slot in view.slots:
            holder = slot.user if slot.state in ("leased", "held") else None
            self._add(f"slot {slot.uuid}", minute, holder, slot.utilisation_percent)
        for gpu in view.gpus:
            self._add(f"gpu {gpu.uuid}", minute, None, gpu.utilisation_percent)

    def curve(self, key: str, now: datetime, columns: int) -> str:
        """Return the last hour in `columns` letters, the present at the right; blank: not sampled, ░: unknown."""
        minutes = {item.minute: item for item in self._minutes.get(key, ())}
        end = minute_of(now) + 1
        return "".join(
            _level([minutes[minute] for minute in period if minute in minutes]) for period in _periods(end, columns)
        )

    def grid(self, now: datetime) -> dict[str, list[Use | None]]:
        """Return each owner's use in the six periods of the last hour; None: no slot, or not sampled."""
        end = minute_of(now) + 1
        rows: dict[str, list[Use | None]] = {}
        columns = MINUTES // PERIOD
        items: dict[tuple[str, int], list[Minute]] = {}
        for minutes in self._minutes.values():
            for item in minutes:
                column = columns - 1 - (end - 1 - item.minute) // PERIOD
                if item.user is not None and 0 <= column < columns:
                    items.setdefault((item.user, column), []).append(item)
        owners = sorted({owner for owner, _ in items})
        for column, period in enumerate(_periods(end, columns)):
            sampled = sum(minute in period for minute in self._sampled)
            for owner in owners:
                found = items.get((owner, column), [])
                use = Use(_mean(found), len(found) / sampled) if found and sampled else None
                rows.setdefault(owner, []).append(use)
        return rows

    def _add(self, key: str, minute: int, user: str | None, percent: float | None) -> None:
        minutes = self._minutes.setdefault(key, deque(maxlen=MINUTES))
        if not minutes or minutes[-1].minute != minute or minutes[-1].user != user:
            while minutes and minutes[0].minute <= minute - MINUTES:
                minutes.popleft()
            minutes.append(Minute(minute, user))
        if percent is not None:
            minutes[-1].total += percent
            minutes[-1].known += 1


def minute_of(at: datetime) -> int:
    """Return the number of the minute since 1970."""
    return int(at.timestamp()) // 60


def _periods(end: int, columns: int) -> Iterator[range]:
    for column in range(columns):
        yield range(end - MINUTES + column * MINUTES // columns, end - MINUTES + (column + 1) * MINUTES // columns)


def _mean(items: Iterable[Minute]) -> float | None:
    known = [item.total / item.known for item in items if item.known]
    return sum(known) / len(known) if known else None


def _level(items: list[Minute]) -> str:
    if not items:
        return NOT_SAMPLED
    mean = _mean(items)
    return UNKNOWN if mean is None else LEVELS[min(len(LEVELS) - 1, int(max(mean, 0.0) / 100 * len(LEVELS)))]
