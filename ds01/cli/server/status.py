"""ds01 status"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click

from ds01.api.seeing.operations import GetServerView
from ds01.api.seeing.server_view import ServerSlot, ServerView, SlotSupply
from ds01.cli.command.definition import BoundedInteger
from ds01.cli.command.definition import command as verb
from ds01.cli.command.page_output import refuse_html_with, write_page
from ds01.cli.container.list import describe_deadline
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.bars import bar, percent_text
from ds01.cli.ui.formats import (
    describe_reservation,
    format_count,
    format_duration,
    format_holder,
    format_local_time,
    format_size,
)
from ds01.cli.ui.output import clear_screen
from ds01.cli.ui.refresh import DEFAULT_INTERVAL, check_watch, repeat_until_interrupted

BAR_WIDTH = 4
MOST_DISK_USERS = 3
MOST_OUTSIDE = 5
MOST_COMPLAINTS = 3  # on one screen; `ds01 doctor` has them all
STATE_WORDS = {"busy_outside": "used outside ds01"}


@verb(example="ds01 status", guided=False, user=False)
@click.option("-w", "--watch", is_flag=True, help="Refresh until Ctrl-C (exit code 130).")
@click.option(
    "--interval", type=BoundedInteger(1, 3600), metavar="S", help="With --watch: seconds between refreshes. Default: 2."
)
@click.option("--hosts", is_flag=True, help="The servers of ~/.config/ds01/hosts or /etc/ds01/hosts, over SSH.")
@click.option("--html", metavar="FILE", help="Write a page for browsers; `-` is standard output.")
def command(session: Session, watch: bool, interval: int | None, hosts: bool, html: str | None) -> int:
    """Show the whole server on one screen: GPUs and who has them, queue, load, disks, and what needs attention.

    `?` and a shaded bar mean unknown: the hardware or the driver does not say. The page of --html has only what anybody
    may see: no images, ports or commands, and no names if the policy says so.
    """
    check_watch(watch=watch, interval=interval, as_json=session.as_json)
    if html is not None:
        for option, given in (("--watch", watch), ("--hosts", hosts), ("--json", session.as_json)):
            if given:
                raise refuse_html_with(option)
        from ds01.pages.status.page import status_page

        write_page(session, html, status_page(session.run(GetServerView(public=True))))
        return 0

    def show() -> None:
        if hosts:
            from ds01.cli.server.hosts import show_hosts  # most calls do not need its threads

            show_hosts(session, clear=watch)
            return
        view = session.run(GetServerView())
        session.write_document(vars(view))
        if session.as_json:
            return
        if watch:
            clear_screen()
        _show(session, view)

    if watch:
        return repeat_until_interrupted(show, interval=interval or DEFAULT_INTERVAL)
    show()
    return 0


def _show(session: Session, view: ServerView) -> None:
    session.say(_headline(view))
    for text in view.unknown:
        session.warn(text)
    if view.slots:
        headings = ("SLOT", "KIND", "WHO", "FOR", "USED", "IDLE", "NEXT", "NOW", "MEMORY")
        tables.print_table(headings, [_row(slot, view.at) for slot in view.slots], cut="WHO")
    for line in _lines(view):
        session.say(line)


def _headline(view: ServerView) -> str:
    if not view.supply:
        return f"{view.machine.name}: {'no GPU' if view.driver is not None else 'GPUs unknown'}"
    return f"{view.machine.name}: free {', '.join(_supply(item, view.at) for item in view.supply)}"


def _supply(item: SlotSupply, now: datetime) -> str:
    text = f"{item.free} of {item.total} {item.profile or item.model or item.kind.value}"
    return text if item.earliest is None else f"{text} (next {format_local_time(item.earliest, now)})"


def _row(slot: ServerSlot, now: datetime) -> tuple[str, ...]:
    kind = slot.profile or slot.model or slot.kind.value
    used, size = format_size(slot.memory_used_bytes), format_size(slot.memory_bytes)
    return (
        slot.slot,
        kind,
        _holder(slot),
        _age(slot.since, now) if slot.container else "–",
        percent_text(slot.used_percent) if slot.container else "–",
        _age(slot.idle_since, now),
        _next(slot, now),
        f"{bar(slot.utilisation_percent, BAR_WIDTH)} {percent_text(slot.utilisation_percent)}",
        f"{'?' if slot.memory_used_bytes is None else used}/{size}",
    )


def _age(since: datetime | None, now: datetime) -> str:
    """Return how long ago it was, in its largest unit, so that the table fits a terminal."""
    return "–" if since is None else format_duration(now - since).partition(" ")[0]


def _holder(slot: ServerSlot) -> str:
    if slot.state in ("leased", "held"):
        holder = format_holder(slot.user, slot.container)
        return f"{holder}, held" if slot.state == "held" else holder
    words = STATE_WORDS.get(slot.state, slot.state)
    if slot.state == "reserved":
        words = f"reserved for {slot.user}"
    return f"{words}: {slot.why}" if slot.why and slot.state != "reserved" else words


def _next(slot: ServerSlot, now: datetime) -> str:
    if slot.deadline is not None:
        return describe_deadline(slot.deadline, now)
    return format_local_time(slot.until, now) if slot.until is not None else "–"


def _lines(view: ServerView) -> Iterator[str]:
    """Yield what stands below the table: machine, queue, reservations, the tick, complaints."""
    yield _machine(view)
    if view.queue:
        first = view.queue[0]
        when = f", perhaps at {format_local_time(first.earliest, view.at)}" if first.earliest is not None else ""
        yield (
            f"Queue: {len(view.queue)} waiting, first {first.user} ({first.name}) "
            f"for {format_duration(view.at - first.since)}{when}; `ds01 queue` shows all"
        )
    yield from (f"Reserved: {describe_reservation(item, view.at)}" for item in view.reservations)
    yield from _disk_use(view)
    yield from _outside(view)
    yield _tick(view)
    if view.complaints:
        shown = view.complaints[:MOST_COMPLAINTS]
        more = len(view.complaints) - len(shown)
        yield f"Attention: {'; '.join(shown)}{f'; and {more} more' if more else ''} (`sudo ds01 doctor`)"


def _disk_use(view: ServerView) -> Iterator[str]:
    """Yield what takes disk space, by kind and by user; nothing before it was measured."""
    kinds: dict[str, int] = {}
    users: dict[str, int] = {}
    for use in view.disk_use:
        kinds[use.kind] = kinds.get(use.kind, 0) + use.bytes
        if use.user is not None:
            users[use.user] = users.get(use.user, 0) + use.bytes
    if not kinds:
        return
    age = format_duration(view.at - min(use.measured_at for use in view.disk_use))
    text = ", ".join(f"{kind.replace('_', ' ')} {format_size(size)}" for kind, size in kinds.items())
    most = sorted(((size, user) for user, size in users.items() if size), reverse=True)[:MOST_DISK_USERS]
    whose = f"; most: {', '.join(f'{user} {format_size(size)}' for size, user in most)}" if most else ""
    yield f"Disk use, measured {age} ago: {text}{whose}"


def _outside(view: ServerView) -> Iterator[str]:
    """Yield the processes that use GPUs outside ds01; containers without known processes stand in the table."""
    uses = [use for use in view.outside if use.pid is not None]
    for use in uses[:MOST_OUTSIDE]:
        since = f" for {format_duration(view.at - use.since)}" if use.since is not None else ""
        whose = f" of {use.user}" if use.user is not None else ""
        command = f": {use.command}" if use.command is not None else ""
        yield f"Outside ds01: {use.slot}, {use.what} {use.who} (pid {use.pid}){whose}{since}{command}"
    if len(uses) > MOST_OUTSIDE:
        yield f"Outside ds01: {len(uses) - MOST_OUTSIDE} more; `ds01 status --json` has them all"


def _machine(view: ServerView) -> str:
    machine = view.machine
    running = sum(item.container.state == "running" for item in view.containers)
    parts = [format_count(running, "container") + " running"]
    if machine.load is not None:
        parts.append(f"load {machine.load:.1f} of {machine.cpus or '?'} CPUs")
    if machine.memory_bytes is not None and machine.memory_available_bytes is not None:
        used = machine.memory_bytes - machine.memory_available_bytes
        parts.append(f"memory {format_size(used)}/{format_size(machine.memory_bytes)}")
    parts += [f"{disk.path} {format_size(disk.free_bytes)} free" for disk in view.disks]
    return ", ".join(parts)


def _tick(view: ServerView) -> str:
    tick = view.tick
    if tick.started_at is None:
        return "Last tick: never"
    took = "" if tick.seconds is None else f", {tick.seconds:.1f} s"
    return f"Last tick: {format_duration(view.at - tick.started_at)} ago{took}"
