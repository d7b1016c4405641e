"""Suggest a key for an unknown one, but only if it means the same.

`memory_max` and `max_gpus` look like misspellings of `memory` and `max_cpus`, but are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from ds01.policy.legacy import keys

IMPORT_HINT = "`ds01 policy import` converts the whole file"
_UNITS = {"h", "m", "s", "min", "hours", "minutes", "seconds", "days", "bytes", "percent", "soft", "hard"}


def suggest_key(name: str, candidates: Iterable[str]) -> str:
    """Return the end of a message on the unknown key `name`, beginning with a comma; `known` keys are candidates."""
    name, candidates = name[:80], list(candidates)
    today = keys.current_key(name)
    if today is not None:
        return f", a key of ds01-infra: today `{today}`; {IMPORT_HINT}"
    if keys.is_removed(name):
        return f", a key of ds01-infra without a counterpart; {IMPORT_HINT}"
    close_matches = get_close_matches(_plain(name), [_plain(key) for key in candidates], 1, cutoff=0.85)
    suggested = next((key for key in candidates if close_matches and _plain(key) == close_matches[0]), None)
    if suggested is None or not _is_misspelling(name, suggested, candidates):
        return ""
    return f", perhaps `{suggested}`?"


def _is_misspelling(name: str, suggested_key: str, candidates: list[str]) -> bool:
    """Return whether each differing word is a misspelling, rather than a unit or another meaningful word."""
    if _plain(name) == _plain(suggested_key):
        return True
    words, suggested_words = re.split("[_-]", name.casefold()), re.split("[_-]", suggested_key)
    if len(words) != len(suggested_words):
        return False
    meaningful = {
        word for key in (*candidates, *keys.LIMITS, *keys.POLICIES) for word in re.split("[_.]", key)
    } | _UNITS
    pairs = zip(words, suggested_words, strict=True)
    return all(word.rstrip("s") == other.rstrip("s") or word not in meaningful for word, other in pairs)


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
