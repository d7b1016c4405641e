"""Say in plain English what an event is about. Pure, except for the server's time zone.

Time, owner and container are shown beside the text. The values come from a file that a group can write, so each is used
only if it has the expected type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from ds01.journal.event_reader import Event
from ds01.policy.units import MAX_DURATION, format_duration
from ds01.system.clock import to_server_zone
from ds01.system.data import DataError, parse_time

_ACTORS = {"tick": "ds01", "observed": None}
_RULES = {  # what the tick announces, by the rule of a warning
    "idle": "it is idle and will be stopped",
    "runtime": "it reaches its longest running time and will be stopped",
    "conflict": "it runs on a GPU of others and will be stopped",
    "hold": "the hold of its GPU ends",
    "created": "it never ran, and its GPU is released",
    "removal": "it has been stopped for long and will be removed",
}
_COMPLETE = ("exited ", "stopped ", "killed ", "crashed")  # reasons that say what happened
_REASONS = {  # why the tick acted; any other reason is shown as it is
    "idle": "it was idle",
    "max_runtime": "it reached its longest running time",
    "conflict": "its GPU is leased to another container",
}
_REFUSALS = {
    "no_gpus": "this server has no such GPU",
    "max_gpus_per_container": "too many GPUs for one container",
    "allow_full_gpu": "no whole GPUs",
    "max_mig_instances": "over the GPU quota",
    "max_containers_per_user": "too many containers",
    "none_free": "no GPU was free",
    "lost": "its GPU is gone",
}


def describe_event(event: Event) -> str:
    """Return what happened in a few words, without time, owner and container."""
    words = EVENT_WORDS.get(event.type)
    if words is None:
        return f"{event.type}{_by(event)}{_because(event)}"
    return words(event)


def _transition(event: Event) -> str:
    trigger, gpus = _text(event, "trigger"), ", ".join(_list(event, "gpus"))
    why = event.why
    if trigger == "create":
        return f"created{_by(event)}{f', with GPU {gpus}' if gpus else ''}{_because(event)}"
    if trigger == "start":
        return f"started{_by(event)}{f', with GPU {gpus}' if gpus else ''}{_because(event)}"
    if trigger == "stop":
        hold = f"; GPU {gpus} is held" if gpus and _text(event, "to") == "held" else ""
        if event.actor == "observed":
            words = why or "stopped outside ds01"
            return f"{words if words.startswith(_COMPLETE) else f'ended: {words}'}{hold}"
        return f"stopped{_by(event)}{_because(event)}{hold}"
    if trigger == "release":
        again = "" if why == "released" else _because(event)
        return f"{f'GPU {gpus}' if gpus else 'its GPU'} given back{_by(event)}{again}"
    if trigger == "remove":
        return f"removed{_by(event)}{_because(event)}"
    if trigger == "vanish":
        return f"gone: {why or 'removed outside ds01'}"
    return f"{trigger or 'changed'}{_by(event)}{_because(event)}"


def _lease(event: Event) -> str:
    slot = f"GPU {_text(event, 'slot') or '?'}"
    words = {"allocated": "leased", "held": "held", "resumed": "used again", "released": "given back"}
    change = _text(event, "change") or ""
    return f"{slot} {words.get(change, change or 'changed')}{_by(event)}{_because(event)}"


def _wait(event: Event) -> str:
    words = {
        "served": "then got it",
        "cancelled": "the wait was cancelled",
        "timed_out": "the longest wait was over",
        "refused": "then was refused",
        "left": "then gave up",
    }
    outcome = words.get(_text(event, "outcome") or "")
    return f"waited {_duration(event, 'seconds')} for a GPU{f'; {outcome}' if outcome else ''}"


def _extension(event: Event) -> str:
    until = _time(event, "until")
    return f"extended by {_duration(event, 'seconds')}{f', to {until}' if until else ''}{_by(event)}{_because(event)}"


def _warning(event: Event) -> str:
    when = _time(event, "deadline")
    return f"warned: {_RULES.get(event.why or '', event.why or 'something is due')}{f' {when}' if when else ''}"


def _notice(event: Event) -> str:
    delivered = event.more.get("delivered")
    if delivered is None:
        return f"the program for notices failed{_because(event)}"
    return f"{'notice sent' if delivered else 'a notice could not be delivered'}{_because(event)}"


def _refusal(event: Event) -> str:
    whom = f" {event.actor}" if event.actor and event.actor != event.user else ""
    known = _REFUSALS.get(event.why or "")
    return f"refused{whom}: {f'{known} ({event.why})' if known else event.why or 'not allowed'}"


def _conflict(event: Event) -> str:
    holder = (_text(event, "holder") or "").rpartition("._.")[0]
    whose = " ".join(filter(None, (_text(event, "holder_user"), f"({holder})" if holder else "")))
    return f"started outside ds01 on a GPU of {whose or 'somebody else'}"


def _image(event: Event) -> str:
    name, what = _text(event, "image") or "?", _text(event, "what")
    if what == "built":
        took = f" in {_duration(event, 'seconds')}" if event.more.get("seconds") else ""
        return f"image {name} built{_by(event)}{took}"
    if what == "failed":
        return f"image {name} could not be built{_because(event)}"
    return f"image {name} {what or 'changed'}{_by(event)}{_because(event)}"


def _emergency_stop(event: Event) -> str:
    names, failed = _list(event, "containers"), _list(event, "failed")
    stopped = ", ".join(name.rpartition("._.")[0] or name for name in names) or "nothing"
    failures = f"; failed: {', '.join(failed)}" if failed else ""
    return f"emergency stop{_by(event)} of {stopped}{failures}"


def _outside(event: Event) -> str:
    """Say what uses a GPU outside ds01, or did."""
    slots, pid = ", ".join(_list(event, "slots")), event.more.get("pid")
    subject = f"{_text(event, 'what') or 'something'} {_text(event, 'who') or '?'}"
    subject += f" (pid {pid})" if isinstance(pid, int) else ""
    verb = "uses" if event.type == "outside_began" else f"no longer uses, after {_duration(event, 'seconds')},"
    return f"outside ds01: {subject} {verb} GPU {slots or '?'}"


def _tick(event: Event) -> str:
    words = {"looked_at": "looked at", "acted": "acted", "warned": "warned", "unknown": "unknown", "errors": "failed"}
    counts = [f"{event.more[key]} {word}" for key, word in words.items() if event.more.get(key)]
    return f"a pass of the automation: {', '.join(counts) or 'nothing to do'}{_because(event)}"


EVENT_WORDS: Mapping[str, Callable[[Event], str]] = {
    "transition": _transition,
    "lease": _lease,
    "wait": _wait,
    "pause": lambda event: f"paused{_by(event)}",
    "unpause": lambda event: f"continues after a pause{_by(event)}",
    "keep": lambda event: f"kept{_by(event)}: it will not be removed automatically",
    "extension": _extension,
    "warning": _warning,
    "notice": _notice,
    "refusal": _refusal,
    "conflict": _conflict,
    "repair": lambda event: f"repaired{_by(event)}{_because(event)}",
    "not_inspected": lambda event: f"Docker cannot inspect it{_because(event)}",
    "image": _image,
    "emergency_stop": _emergency_stop,
    "slice": lambda event: f"{_text(event, 'slice') or 'a slice'} has other limits{_because(event)}",
    "configuration": lambda event: f"configuration{_by(event)}{_because(event)}",
    "outside_began": _outside,
    "outside_ended": _outside,
    "tick": _tick,
}


def _by(event: Event) -> str:
    """Return ` by bob`, unless the owner did it."""
    if event.actor is None or event.actor == event.user:
        return ""
    actor = _ACTORS.get(event.actor, event.actor)
    return " outside ds01" if actor is None else f" by {actor}"


def _because(event: Event) -> str:
    if not event.why:
        return ""
    return f": {_REASONS.get(event.why, event.why) if event.actor == 'tick' else event.why}"


def _text(event: Event, key: str) -> str | None:
    value = event.more.get(key)
    return value if isinstance(value, str) else None


def _list(event: Event, key: str) -> list[str]:
    value: Any = event.more.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _time(event: Event, key: str) -> str | None:
    """Return a time in the server's zone, with its day."""
    try:
        return to_server_zone(parse_time(_text(event, key) or "")).strftime("%a %d %b %H:%M")
    except DataError:
        return None


def _duration(event: Event, key: str) -> str:
    """Return a number of seconds in words, in whole seconds."""
    value: Any = event.more.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "some time"
    return format_duration(timedelta(seconds=round(min(max(value, 0), MAX_DURATION.total_seconds()))))
