"""Everything about one container, on Enter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ds01.api.seeing.server_view import ProcessView, ServerContainer, ServerSlot, ServerView
from ds01.cli.container.list import describe_next_action
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import BOLD, DIM, PLAIN, RED, YELLOW, Line, Span, clean
from ds01.cli.dashboard.views.cells import UNKNOWN_TEXT, amount, size_text
from ds01.cli.dashboard.views.gpus import identity_of
from ds01.cli.ui.bars import bar, percent_text
from ds01.cli.ui.formats import format_duration, format_gpus, format_local_time

LABEL_WIDTH = 12
BAR_WIDTH = 10
CURVE_WIDTH = 30


def draw_details(container: str, sample: Sample) -> Iterator[Line]:
    """Yield the lines about a container, by its full name; one that has gone since is said to be gone."""
    view = sample.view
    item = next((item for item in view.containers if item.container.container == container), None) if view else None
    if view is None or item is None:
        yield (Span(f"{clean(container)} does not exist any more", YELLOW),)
        return
    yield (Span(clean(item.container.name), BOLD), Span(f"  {clean(item.container.container)}", DIM))
    yield (Span(""),)
    for label, text, style in (*_identity(item), *_times(item, view.at), *_use(item)):
        yield (Span(f"{label:{LABEL_WIDTH}}", DIM), Span(text, style))
    for slot in view.slots:
        if slot.container == container:
            yield (Span(""),)
            yield from _slot(slot, sample, view)


def _identity(item: ServerContainer) -> Iterator[tuple[str, str, int]]:
    view = item.container
    yield "Owner", f"{clean(view.user or UNKNOWN_TEXT)}{f', group {clean(item.group)}' if item.group else ''}", PLAIN
    state = "paused" if view.paused else view.state
    yield "State", f"{state}, a lease by hand, without a container" if view.is_manual else state, PLAIN
    if view.ended is not None:
        code = "" if view.ended.exit_code is None else f", exit code {view.ended.exit_code}"
        yield "Ended", clean(f"{view.ended.why}{code}{', out of memory' if view.ended.oom else ''}"), YELLOW
    if view.conflict:
        yield "Conflict", clean(view.conflict), RED
    if view.image is not None:
        yield "Image", clean(view.image), PLAIN
    if view.project is not None:
        yield "Project", clean(view.project), PLAIN
    if view.gpus:
        yield "GPUs", clean(format_gpus(view.gpus)), PLAIN
    elif view.gpus_fixed:
        yield "GPUs", f"none now; at start {clean(format_gpus(view.gpus_fixed))}, if free then", PLAIN
    else:
        yield "GPUs", "none", PLAIN
    ports = [f"{port.host_ip}:{port.host_port or UNKNOWN_TEXT} → {port.container_port}" for port in view.ports]
    if ports:
        yield "Ports", clean(", ".join(ports)), PLAIN


def _times(item: ServerContainer, now: datetime) -> Iterator[tuple[str, str, int]]:
    view = item.container
    for label, at in (("Created", view.created_at), ("Started", view.started_at), ("Stopped", view.stopped_at)):
        if at is not None:
            yield label, f"{format_local_time(at, now)}, {format_duration(now - at)} ago", PLAIN
    if item.activity is not None:
        idle = f", idle for {format_duration(now - view.idle_since)}" if view.idle_since is not None else ""
        kept = ", kept by .keep-alive" if view.kept_alive else ""
        yield "Activity", f"{item.activity}{idle}{kept}", YELLOW if view.idle_since is not None else PLAIN
    if view.deadline is not None:
        yield "Next", f"{describe_next_action(view, now)}, {format_local_time(view.deadline.at, now)}", PLAIN
    if view.held_until is not None:
        yield "Held until", format_local_time(view.held_until, now), PLAIN


def _use(item: ServerContainer) -> Iterator[tuple[str, str, int]]:
    if item.container.state != "running" or item.container.is_manual:
        return
    cores = "" if item.cpus is None else f" of {item.cpus:g} CPUs"
    share = None if item.cpu_percent is None or not item.cpus else item.cpu_percent / item.cpus
    yield "CPU", f"{bar(share, BAR_WIDTH)} {percent_text(item.cpu_percent)} of one core{cores}", PLAIN
    used, limit = item.memory_bytes, item.memory_limit_bytes
    share = None if used is None or not limit else used / limit * 100
    yield "Memory", f"{bar(share, BAR_WIDTH)} {amount(used, limit)}", PLAIN
    most = "" if item.pids_limit is None else f" of at most {item.pids_limit}"
    yield "Processes", f"{UNKNOWN_TEXT if item.pids is None else item.pids}{most}", PLAIN


def _slot(slot: ServerSlot, sample: Sample, view: ServerView) -> Iterator[Line]:
    kind = clean(slot.profile or slot.model or slot.kind.value)
    held = "" if slot.since is None else f", held for {format_duration(view.at - slot.since)}"
    yield (Span(f"GPU {slot.slot}", BOLD), Span(f"  {kind}{held}, used {percent_text(slot.used_percent)} of it"))
    yield (
        Span(f"{'  now':{LABEL_WIDTH}}", DIM),
        Span(f"{bar(slot.utilisation_percent, BAR_WIDTH)} {percent_text(slot.utilisation_percent)}"),
        Span(f", memory {amount(slot.memory_used_bytes, slot.memory_bytes)}"),
    )
    curve = sample.history.curve(identity_of(slot), sample.now, CURVE_WIDTH)
    if curve.strip():
        yield (Span(f"{'  last hour':{LABEL_WIDTH}}", DIM), Span(curve))
    yield from _processes(slot.processes)


def _processes(processes: tuple[ProcessView, ...] | None) -> Iterator[Line]:
    if processes is None:
        yield (Span(f"{'  processes':{LABEL_WIDTH}}", DIM), Span(UNKNOWN_TEXT))
    for process in processes or ():
        command = "" if process.command is None else f"  {clean(process.command)}"
        text = f"{process.pid:>8}  {clean(process.user or UNKNOWN_TEXT)}  {size_text(process.memory_bytes)}{command}"
        yield (Span(f"{'  process':{LABEL_WIDTH}}", DIM), Span(text))
