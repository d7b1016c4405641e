"""The texts of the tick's notices to owners."""

from __future__ import annotations

from datetime import datetime, timedelta

from ds01.automation.decide import Action, Decision, Rule
from ds01.journal.notices import Notice
from ds01.policy.model import Limits
from ds01.policy.units import format_duration
from ds01.records.record import ContainerEnd, Record
from ds01.system.clock import to_server_zone

DEFAULT_EXTENSION = timedelta(hours=24)  # the extension that a warning suggests, if the policy allows it


def warning_notice(record: Record, decision: Decision, limits: Limits, now: datetime) -> Notice:
    """Return the warning about a deadline: the time, and the command that changes it."""
    name, when = record.name, _deadline_text(decision.deadline, now)
    if decision.rule is Rule.CONFLICT:
        text = f"{name} was started on a GPU in use by others: {record.conflict}. It will be stopped in a few minutes."
        return Notice(now, "conflict", record.container_name, text, f"container-stop {name}")
    if decision.rule is Rule.REMOVAL:
        since = _local_time(record.stopped_at)
        text = f"{name} has been stopped since {since} and will be removed {when}; /workspace stays."
        return Notice(now, "removal", record.container_name, text, f"container-start {name}")
    if decision.rule is Rule.HOLD:
        return Notice(
            now, "hold", record.container_name, _describe_hold(record, decision, now), f"container-start {name}"
        )
    because = "is idle" if decision.rule is Rule.IDLE else "has reached its longest running time"
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
        return f"{record.name} is stopped; its GPU will be free for others in a few minutes."
    return f"{record.name} is stopped; its GPU is held until {_local_time(decision.deadline)}."


def holder_warning_notice(holder: Record, record: Record, now: datetime) -> Notice:
    """Return the notice to the holder of a GPU on which another container was started outside ds01."""
    text = (
        f"{record.name} of {record.user} was started outside ds01 on a GPU of {holder.name}. "
        "It will be stopped in a few minutes; until then it may use memory of your GPU."
    )
    return Notice(now, "conflict", holder.container_name, text)


def conflict_over_notice(record: Record, now: datetime) -> Notice:
    """Return the notice that a conflict, which was warned about, is over."""
    slots = ", ".join(ref.slot for ref in record.gpus_fixed)
    text = f"{record.name} has GPU {slots} to itself again. It will not be stopped: the warning no longer applies."
    return Notice(now, "conflict", record.container_name, text)


def ended_notice(record: Record, end: ContainerEnd, now: datetime) -> Notice:
    """Return the notice that a container ended outside ds01, with the reason."""
    text = f"{record.name} ended {_local_time(end.at)}: {end.why}."
    if record.held_until is not None:
        text += f" Its GPU is held until {_local_time(record.held_until)}."
    return Notice(now, "ended", record.container_name, text, f"container-start {record.name}")


def outcome_notice(record: Record, decision: Decision, now: datetime) -> Notice:
    """Return the notice about a completed action. `record`: as it is after the action."""
    name = record.name
    texts = {
        (Action.STOP, Rule.IDLE): f"{name} was stopped: it was idle.",
        (Action.STOP, Rule.RUNTIME): f"{name} was stopped: it reached its longest running time.",
        (Action.STOP, Rule.CONFLICT): f"{name} was stopped: its GPU is leased to another container.",
        (Action.RELEASE, Rule.HOLD): f"The GPU of {name} is free for others now: its hold has ended.",
        (Action.RELEASE, Rule.CREATED): f"The GPU of {name} is free for others now: it was never started.",
        (Action.RELEASE, Rule.RECLAIM): f"The GPU of {name}, which is stopped, goes to a user of higher priority.",
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
    """Return a deadline in words. After a policy change or a late tick it may have passed: the next tick acts then."""
    return _local_time(at) if at > now else "in a few minutes"


def _local_time(at: datetime | None) -> str:
    return to_server_zone(at).strftime("%a %d %b %H:%M") if at is not None else "some time ago"
