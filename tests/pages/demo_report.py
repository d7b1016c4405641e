"""A month of a busy server as data, for screenshots and tests: always the same figures."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from ds01.api.seeing.report import Report, ReportBy, ReportHour, ReportPoint, ReportRow

SINCE = datetime(2026, 11, 1, tzinfo=timezone.utc)
DAYS = 30
SLOTS = 10
NAMES: Mapping[ReportBy, Mapping[str, float]] = {
    ReportBy.USER: {
        "amelie": 1380,
        "jonas": 1080,
        "fatima": 840,
        "mehmet": 636,
        "chiara": 520,
        "lukas": 192,
        "sofia": 82,
    },
    ReportBy.GROUP: {"researchers": 2740, "students": 1990},
    ReportBy.PROJECT: {"diffusion": 1380, "llm-eval": 840, "thesis": 1716, "rl-sweep": 520, "segmentation": 274},
    ReportBy.GPU: {"0": 1220, "1": 1080, "2:0": 636, "2:1": 520, "3": 160, "5": 274, "7": 840},
    ReportBy.IMAGE: {"pytorch/pytorch": 3280, "ds01-1004/rl:latest": 520, "nvcr.io/nvidia/jax": 930},
}
UNMEASURED = {"mehmet", "chiara", "2:0", "2:1", "rl-sweep", "ds01-1004/rl:latest"}  # MIG instances


def hours(number: float) -> timedelta:
    return timedelta(seconds=round(number * 3600))


def row(name: str, leased: float, by: ReportBy, chance: random.Random) -> ReportRow:
    """Return a row with the given hours."""
    held, idle = leased * chance.uniform(0.02, 0.2), leased * chance.uniform(0.05, 0.4)
    running = leased - held
    known = name not in UNMEASURED
    energy = None if by in (ReportBy.PROJECT, ReportBy.IMAGE) and not known else leased * 0.28
    user = by is ReportBy.USER
    return ReportRow(
        name=name,
        leases=round(leased / 22) + 1,
        leased=hours(leased),
        held=hours(held),
        idle=hours(idle),
        used=hours((running - idle) * 0.8) if known else None,
        judged=0.97,
        measured=0.96 if known else 0.0,
        waits=(waits := chance.randrange(0, 9)) if user else None,
        wait_mean=hours(1 + leased / 150) if user and waits else None,
        wait_longest=hours(3 + leased / 60) if user and waits else None,
        idle_stops=chance.randrange(0, 5) if user else None,
        extensions=chance.randrange(0, 4) if user else None,
        energy_kwh=energy,
        energy_estimated=not known,
        cost=None if energy is None else energy * 0.31,
        co2_kg=None if energy is None else energy * 0.363,
        disk_bytes=round(leased * 1.1e9) if user else None,
    )


def demo_report(by: ReportBy = ReportBy.USER) -> Report:
    """Return the report of the month."""
    chance = random.Random(by.value)
    rows = tuple(row(name, leased, by, chance) for name, leased in NAMES[by].items())
    total = row("total", sum(NAMES[by].values()), ReportBy.USER, chance)
    return Report(
        by=by,
        since=SINCE,
        until=SINCE + timedelta(days=DAYS),
        anonymous=False,
        rows=rows,
        total=total,
        points=tuple(_point(day) for day in range(DAYS)),
        week=tuple(ReportHour(day, hour, *_hour(day, hour)) for day in range(7) for hour in range(24)),
        gpu_energy_kwh=1290.4,
        energy_price=0.31,
        currency="EUR",
        co2_grams_per_kwh=363.0,
        slots=SLOTS,
        measured_since=SINCE - timedelta(days=200),
        problem=None,
    )


def _point(day: int) -> ReportPoint:
    begin = SINCE + timedelta(days=day)
    weekend = begin.weekday() > 4
    leased = 7.4 + 1.6 * math.sin(day / 3) - (2.8 if weekend else 0)
    known = day not in (12, 13)  # the tick did not run
    return ReportPoint(
        since=begin,
        until=begin + timedelta(days=1),
        leased=leased,
        held=0.9 + 0.6 * math.cos(day / 2),
        utilisation=58 + 18 * math.sin(day / 2.3) - (14 if weekend else 0) if known else None,
    )


def _hour(day: int, hour: int) -> tuple[float, float | None]:
    work = math.exp(-(((hour - 15) / 6) ** 2)) * (0.45 if day > 4 else 1.0)
    return 3.4 + 5.8 * work, None if (day, hour) in ((6, 3), (6, 4)) else 24 + 62 * work
