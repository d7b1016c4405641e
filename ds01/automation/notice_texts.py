"""Words for what the tick does, in notices to owners."""

from __future__ import annotations

from datetime import datetime, timedelta

from ds01.automation.decide import Action, Decision, Rule
from ds01.journal.notices import Notice
from ds01.policy.model import Limits
from ds01.policy.units import format_duration
from ds01.records.record import ContainerEnd, Record
from ds01.system.clock import to_server_zone

DEFAULT_EXTENSION = timedelta(hours=24)  # the extension that a warning proposes, if the policy allows that much


def warning_notice(record: Record, decision: Decision, limits: Limits, now: datetime) -> Notice:
    """The warning before something ends: the time, and the one command that changes it."""
    name, when = record.name, _deadline_text(decision.deadline, now)
    if decision.rule is Rule.CONFLICT:
        text = f"{name} was started on a GPU that somebody else has: {record.conflict}. It is stopped in a few minutes."
        return Notice(now, "conflict", record.container_name, text, f"container-stop {name}")
    if decision.rule is Rule.REMOVAL:
        text = f"{name} is stopped since {_local_time(record.stopped_at)} and will be removed {when}; /workspace stays."
        return Notice(now, "removal", record.container_name, text, f"container-start {name}")
    if decision.rule is Rule.HOLD:
        return Notice(
            now, "hold", record.container_name, _describe_hold(record, decision, now), f"container-start {name}"
        )
    because = "does nothing" if decision.rule is Rule.IDLE else "has run for long"
    text = f"{name} {because} and will be stopped {when}."
    extension = (
        DEFAULT_EXTENSION
        if limits.max_extension is None
        else min(DEFAULT_EXTENSION, limits.max_extension - record.extended)
    )
    command = f"container-extend {name} {format_duration(extension)}" if extension > timedelta(0) else None
    return Notice(now, decision.rule.value, record.container_name, text, command)


def _describe_hold(record: Record, decision: Decision, now: datetime) -> str:
    if decision.deadline <= now:
        return f"{record.name} is stopped; its GPU comes free for others in a few minutes."
    return f"{record.name} is stopped; its GPU is held until {_local_time(decision.deadline)}."


def holder_warning_notice(holder: Record, record: Record, now: datetime) -> Notice:
    """What whose GPU it is reads about a container that was started on it behind ds01."""
    text = (
        f"{record.name} of {record.user} was started on a GPU that {holder.name} has, behind ds01. "
        "It is stopped in a few minutes; until then it may use the memory of your GPU."
    )
    return Notice(now, "conflict", holder.container_name, text)


def conflict_over_notice(record: Record, now: datetime) -> Notice:
    """What corrects the warning of a conflict whose cause is gone."""
    slots = ", ".join(ref.slot for ref in record.gpus_fixed)
    text = f"{record.name} has GPU {slots} to itself again. It is not stopped: the warning about it holds no longer."
    return Notice(now, "conflict", record.container_name, text)


def ended_notice(record: Record, end: ContainerEnd, now: datetime) -> Notice:
    """That a container ended which nobody stopped through ds01, and why."""
    text = f"{record.name} ended {_local_time(end.at)}: {end.why}."
    if record.held_until is not None:
        text += f" Its GPU is held until {_local_time(record.held_until)}."
    return Notice(now, "ended", record.container_name, text, f"container-start {record.name}")


def outcome_notice(record: Record, decision: Decision, now: datetime) -> Notice:
    """What was done, and what comes next. `record` is the one after it."""
    name = record.name
    texts = {
        (Action.STOP, Rule.IDLE): f"{name} was stopped: it did nothing.",
        (Action.STOP, Rule.RUNTIME): f"{name} was stopped: its longest running time was over.",
        (Action.STOP, Rule.CONFLICT): f"{name} was stopped: its GPU is somebody else's.",
        (Action.RELEASE, Rule.HOLD): f"The GPU of {name} is free for others now: it was stopped for long enough.",
        (Action.RELEASE, Rule.CREATED): f"The GPU of {name} is free for others now: it was never started.",
        (Action.RELEASE, Rule.RECLAIM): f"The GPU of {name}, which is stopped, goes to somebody of higher priority.",
        (Action.REMOVE, Rule.REMOVAL): f"{name} was removed; /workspace is still there.",
    }
    text = texts[(decision.action, decision.rule)]
    if decision.action is Action.STOP and record.held_until is not None:
        text += f" Its GPU is held until {_local_time(record.held_until)}."
    kind = {Action.STOP: "stopped", Action.RELEASE: "released", Action.REMOVE: "removed"}[decision.action]
    command = f"container-deploy {name}" if decision.action is Action.REMOVE else f"container-start {name}"
    if decision.rule is Rule.CONFLICT:
        command += " --recreate"  # on another GPU
    return Notice(now, kind, record.container_name, text, command)


def _deadline_text(at: datetime, now: datetime) -> str:
    """A deadline in words; one that a changed policy or a late tick put into the past acts at the next tick."""
    return _local_time(at) if at > now else "in a few minutes"


def _local_time(at: datetime | None) -> str:
    return to_server_zone(at).strftime("%a %d %b %H:%M") if at is not None else "some time ago"
