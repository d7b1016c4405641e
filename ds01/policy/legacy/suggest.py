"""What to say of a key that is unknown. A near name is only suggested if it means the same.

`memory_max` and `max_gpus` look like typing errors of `memory` and `max_cpus`, and are neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from ds01.policy.legacy import keys

IMPORT = "`ds01 policy import` converts the whole file"
_UNITS = {"h", "m", "s", "min", "hours", "minutes", "seconds", "days", "bytes", "percent", "soft", "hard"}


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a message on the unknown key `name`, beginning with a comma; `known` may stand in its place."""
    name, known = name[:80], list(known)
    today = keys.today(name)
    if today is not None:
        return f", a key of ds01-infra: today `{today}`; {IMPORT}"
    if keys.is_gone(name):
        return f", a key of ds01-infra without counterpart; {IMPORT}"
    near = get_close_matches(_plain(name), [_plain(key) for key in known], 1, cutoff=0.85)
    found = next((key for key in known if near and _plain(key) == near[0]), None)
    if found is None or not _is_slip(name, found, known):
        return ""
    return f", perhaps `{found}`?"


def _is_slip(name: str, meant: str, known: list[str]) -> bool:
    """Return whether each word that differs is a misspelling: not a word with a meaning of its own, nor a unit."""
    if _plain(name) == _plain(meant):
        return True
    words, others = re.split("[_-]", name.casefold()), re.split("[_-]", meant)
    if len(words) != len(others):
        return False
    meaningful = {word for key in (*known, *keys.LIMITS, *keys.POLICIES) for word in re.split("[_.]", key)} | _UNITS
    pairs = zip(words, others, strict=True)
    return all(word.rstrip("s") == other.rstrip("s") or word not in meaningful for word, other in pairs)


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
