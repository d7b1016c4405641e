"""An engine's refusals as errors: its own words on one line, and what to do where that is known."""

from __future__ import annotations

from ds01.errors import Ds01Error, EngineAbsent, EngineConflict, EngineRejected

_LONGEST_WORDS = 600
_ABSENT = (("container", "container"), ("image", "image"), ("exec instance", "running program"))

DISK_FULL = "The disk is full. `docker system df` and `ds01 doctor` say what fills it."

_HINTS = (
    ("no space left on device", DISK_FULL),
    ("could not select device driver", "Docker has no NVIDIA hook: the NVIDIA Container Toolkit is not installed."),
    ("nvidia-container-cli", "The GPU or its driver is not as Docker expects it. `ds01 doctor` says more."),
    ("port is already allocated", "Another program has this port. Choose another, or none: Docker finds a free one."),
)


def answer_as_error(status: int | None, words: str, what: str) -> Ds01Error:
    """dockerd's refusal as an error with its own words, on one line."""
    words = one_line(words)
    lower = words.lower()
    # 404 also says that a network, a process or a folder inside is missing: then the container has not vanished.
    absent = next((name for part, name in _ABSENT if f"no such {part}" in lower), None)
    if status == 404 and absent is not None:
        return EngineAbsent(f"Docker has no such {absent}", why=words)
    # Unpausing what is not paused is answered with 500.
    if status == 409 or "is not paused" in lower:
        return EngineConflict(f"Docker could not {what}", why=words)
    hint = next((hint for part, hint in _HINTS if part in lower), None)
    return EngineRejected(f"Docker could not {what}", why=words, hint=hint)


def one_line(words: str) -> str:
    """Docker's words without line breaks, and not without end."""
    text = " ".join(words.split())
    return text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}…"
