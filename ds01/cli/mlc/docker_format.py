"""Container states and sizes in Docker's format, as AIME's tools show them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from ds01.api.answers import AimeView

_UNITS = (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def is_running(view: AimeView) -> bool:
    """Return whether the container is running in Docker, paused or not."""
    return view.container.state in ("running", "paused", "restarting")


def docker_status(view: AimeView, now: datetime) -> str:
    """Return the state in Docker's words, which scripts look for: `Up 2 days`, `Exited (137) 1 week ago`, `Created`."""
    container = view.container
    if is_running(view):
        up_text = f"Up {_format_docker_duration(now - container.started_at)}" if container.started_at else "Up"
        return f"{up_text} (Paused)" if container.paused else up_text
    if view.exit_code is None:
        return "Created" if container.state == "created" else container.state.capitalize()
    since = f" {_format_docker_duration(now - container.stopped_at)} ago" if container.stopped_at else ""
    return f"Exited ({view.exit_code}){since}"


def docker_size(number: int | None) -> str:
    """Return bytes as `docker stats` writes them: `8.516GiB`."""
    if number is None:
        return "–"
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g}{unit}"
        value /= 1024
    return f"{value:.4g}TiB"


def _format_docker_duration(duration: timedelta) -> str:
    """Return a duration in the largest unit that fits."""
    seconds = max(0, int(duration.total_seconds()))
    unit, length = next((pair for pair in _UNITS if seconds >= pair[1]), _UNITS[-1])
    count = seconds // length
    return f"{count} {unit}{'' if count == 1 else 's'}"
