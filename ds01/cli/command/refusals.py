"""The wording of refusals, with hints that fit the current command: only options that it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from ds01.api.refusals import Alternatives, alternatives_of, refusal_of
from ds01.cli.command.advice import CommandContext, complete_hints, current_context
from ds01.cli.ui.formats import format_count, format_deadline, format_gpus, format_holder, format_local_time, short_name
from ds01.errors import Ds01Error
from ds01.gpus.model import Claim, GpuRequest, GpuType, Refusal, Rule

MessageParts = tuple[str, str | None, str | None]  # message, why, hint
STATUS_HINT = "`ds01 gpu status` shows all of them"
ADMINISTRATOR_HINT = "an administrator can raise {key} in the policy"


def describe_refusal(
    refusal: Refusal, now: datetime, context: CommandContext, ways: Alternatives | None = None
) -> MessageParts:
    """Return a refusal as message, why and hint. `ways`: the alternatives of a container whose slots are fixed."""
    rule, why = refusal.rule, describe_claims(refusal.claims, now) or None
    if rule is Rule.QUOTA:
        return _describe_quota(refusal, why, context, ways)
    if rule is Rule.PER_CONTAINER:
        message = f"one container may have at most {_format_gpu_count(refusal.limit)} ({rule.value})"
        why = f"{refusal.asked} were requested" if ways is None else f"it has {refusal.asked}, fixed at creation"
        return message, why, _recreate_hint(ways) or _fewer_gpus_hint(context, rule.value, refusal.limit or 0)
    if rule is Rule.FULL_GPU:
        hint = "`--gpu-type mig` asks for a MIG instance" if context.has("--gpu-type") else None
        hint = _recreate_hint(ways) or hint or ADMINISTRATOR_HINT.format(key=rule.value)
        return f"{context.user or 'you'} may not use whole GPUs (allow_full_gpu)", why, hint
    if rule is Rule.CONTAINERS:
        has = "you have" if context.user is None else f"{context.user} has"
        message = f"{has} {refusal.used} of {refusal.limit} containers ({rule.value})"
        return message, why, "`container-list` shows them, `container-cleanup` removes stopped ones"
    if rule is Rule.NO_GPUS:
        message = f"this server cannot give {_format_gpu_count(refusal.asked)} of that kind"
        hint = _recreate_hint(ways) or "`ds01 gpu status` shows what there is"
        return message, f"it has {refusal.limit or 0} at most", hint
    if rule is Rule.LOST:
        silent = all(claim.state == "unhealthy" for claim in refusal.claims)
        of = "this container" if ways is None else ways.container
        message = f"the GPU of {of} {'does not answer' if silent else 'is gone'}"
        return message, why, _recreate_hint(ways) or "`ds01 gpu status` shows what there is"
    return _describe_fixed_or_none_free(refusal, why, now, context, ways)


def describe_missing(
    refusal: Refusal, request: GpuRequest, kinds: Mapping[str, int], context: CommandContext
) -> MessageParts:
    """Return the refusal of GPUs that the server does not have, as message, why and hint.

    `kinds`: the number of slots by MIG profile, and of whole GPUs under `full`.
    """
    words = {GpuType.MIG: " on MIG instances", GpuType.FULL: ", whole ones", GpuType.ANY: " of one kind"}[request.type]
    kind = f" with the profile {request.profile}" if request.profile is not None else words
    available = [f"{count} {'whole' if name == 'full' else f'of {name}'}" for name, count in kinds.items()]
    why = f"it has {refusal.limit or 0} of these; in all: {', '.join(available) or 'none'}"
    profiles = [name for name in kinds if name != "full"]
    hint = "`ds01 gpu status` shows what there is"
    unknown = request.profile is not None and request.profile.casefold() not in profiles
    if unknown and profiles and context.has("--profile"):
        hint = f"`--profile {profiles[0]}`, or leave it out; {hint}"
    return f"this server cannot give {_format_gpu_count(refusal.asked)}{kind}", why, hint


def describe_end_of_wait(refusal: Refusal, wait_limit: str, now: datetime) -> MessageParts:
    """Return the refusal at the end of a wait, as message, why and hint. `wait_limit`: as typed."""
    hint = f"wait longer, or with `--wait` until it is your turn; {STATUS_HINT}"
    if refusal.earliest is not None:
        hint = f"the first comes free by {format_local_time(refusal.earliest, now)}; {hint}"
    what = (
        "no GPU came free"
        if refusal.asked == 1
        else f"{_format_gpu_count(refusal.asked)} of one kind were never free at once"
    )
    return f"the wait of {wait_limit} is over, and {what}", describe_claims(refusal.claims, now) or None, hint


def describe_claims(claims: Sequence[Claim], now: datetime) -> str:
    """Return who has which slot until when, one line each, in columns."""
    rows = [
        (claim.slot, format_holder(claim.user, claim.container), _describe_claim_state(claim, now)) for claim in claims
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(f"{slot:{widths[0]}}  {holder:{widths[1]}}  {state}" for slot, holder, state in rows)


def _describe_fixed_or_none_free(
    refusal: Refusal, why: str | None, now: datetime, context: CommandContext, ways: Alternatives | None
) -> MessageParts:
    wait_hint = "`--wait` waits for one in the queue" if context.has("--wait") else None
    if ways is not None:
        gpus = ", ".join(dict.fromkeys(claim.slot for claim in refusal.claims))
        subject = f"GPU {gpus} of" if gpus else "the GPU of"
        first = _recreate_hint(ways)
        wait_hint = wait_hint and f"`--wait` waits for {'its own' if refusal.asked == 1 else 'its own ones'}"
        free_at = f"it comes free by {format_local_time(refusal.earliest, now)}" if refusal.earliest else None
        hint = ". ".join(filter(None, (first, "; ".join(filter(None, (free_at, wait_hint))))))
        return f"{subject} {ways.container}, fixed at creation, is not free now", why, hint or STATUS_HINT
    message, why = describe_none_free(refusal, why)
    earliest = f"the first comes free by {format_local_time(refusal.earliest, now)}" if refusal.earliest else None
    return message, why, "; ".join(filter(None, (earliest, wait_hint, STATUS_HINT)))


def describe_none_free(refusal: Refusal, claims: str | None) -> tuple[str, str | None]:
    """Return the refusal of GPUs that are not free now, as message and why. `claims`: who has them, in words."""
    lines = []
    message = "no GPU is free now"
    if refusal.asked > 1:
        message = f"fewer than {_format_gpu_count(refusal.asked)} of one kind are free now"
        lines.append(f"free now: {format_gpus(refusal.free) or 'none'}")
    elif refusal.free:
        message = "no GPU of that kind is free now"
        lines.append(f"free now, of another kind: {format_gpus(refusal.free)}")
    return message, "\n".join(filter(None, (*lines, claims))) or None


def _describe_quota(
    refusal: Refusal, why: str | None, context: CommandContext, ways: Alternatives | None
) -> MessageParts:
    key = refusal.rule.value
    whose, has = (
        ("your quota", "you have") if context.user is None else (f"{context.user}'s quota", f"{context.user} has")
    )
    message = f"{whose} is {_format_gpu_count(refusal.limit)} ({key})"
    asked = f"{refusal.asked} more {'was' if refusal.asked == 1 else 'were'} requested"
    used = f"{has} {refusal.used or 0}, and " + (f"{ways.container} needs {refusal.asked} more" if ways else asked)
    why = "\n".join(filter(None, (used, why)))
    if refusal.claims and refusal.asked <= (refusal.limit or 0):
        return message, why, _release_hint(refusal.claims)
    left = max(0, (refusal.limit or 0) - (refusal.used or 0))
    return message, why, _recreate_hint(ways) or _fewer_gpus_hint(context, key, left)


def _release_hint(claims: Sequence[Claim]) -> str:
    """Name the command that gives back a slot, preferably one of a stopped container, which loses nothing."""
    first = min(claims, key=lambda claim: claim.state != "held")
    name = short_name(first.container) or "NAME"
    count = Counter(claim.container for claim in claims)[first.container]
    effect = "gives one back" if count == 1 else f"gives {count} back"
    if first.manual:
        return f"`ds01 gpu release --container {name}` {effect}: it was allocated by hand"
    return f"`container-retire {name}` {effect} at once"


def _fewer_gpus_hint(context: CommandContext, key: str, count: int) -> str:
    """Name the option that asks for `count` slots, which the quota allows."""
    option = next((name for name in ("--gpus", "--max-gpus") if context.has(name)), None)
    fewer_hint = f"`{option} {count}` asks for fewer; " if option and count else ""
    if not count and context.has("--cpu-only"):
        fewer_hint = "`--cpu-only` creates it without a GPU; "
    return fewer_hint + ADMINISTRATOR_HINT.format(key=key)


def _recreate_hint(ways: Alternatives | None) -> str | None:
    """Name the commands that create a container again, on other GPUs than Docker has fixed for it."""
    if ways is None:
        return None
    name = ways.container
    if ways.recreate:
        free = "without a GPU" if ways.cpu_only else "on another GPU, and one is free now"
        where, wait = (free, "") if ways.free else ("on the first GPU that comes free", " --wait")
        return f"`container-start {name} --recreate{wait}` creates it again {where}; /workspace stays"
    new = f"`container-deploy {name} --gpus {ways.gpus}`" if ways.gpus else f"`container-deploy {name} --cpu-only`"
    return f"`container-retire {name}`, then {new}, creates it again; /workspace stays"


def _describe_claim_state(claim: Claim, now: datetime) -> str:
    until = f"until {format_deadline(claim.until, now)}" if claim.until else ""
    words = {"leased": "in use", "busy_outside": "used outside ds01", "lost": "gone"}.get(claim.state, claim.state)
    if claim.manual:
        words = "allocated by hand"
    if claim.state == "leased" and claim.since is not None:
        words += f" since {format_deadline(claim.since, now)}"
    return " ".join(part for part in (words, until, f"– {claim.why}" if claim.why else "") if part)


def _format_gpu_count(number: int | None) -> str:
    return format_count(number or 0, "GPU")


def adapt_error(error: Ds01Error, now: datetime, *, login: str | None = None) -> Ds01Error:
    """Reword an error from the gate for the current command: refusals as sentences, hints as they can be typed.

    `login`: the caller's, for hints that name a command of an administrator for them.
    """
    message, why, hint = error.message, error.why, error.hint
    refusal = None if error.is_worded else refusal_of(error)
    if refusal is not None:
        message, why, hint = describe_refusal(refusal, now, current_context(), alternatives_of(error))
    hint = None if hint is None else complete_hints(hint, login=login)
    if (message, why, hint) == (error.message, error.why, error.hint):
        return error
    return error.reworded(message, why=why, hint=hint)
