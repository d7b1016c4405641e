"""Check text from outside (arguments, answers, directory names): everything recorded or sent to Docker is UTF-8."""

from __future__ import annotations

from ds01.errors import UsageError


def is_utf8(text: str) -> bool:
    """Return whether the text was UTF-8. Python keeps other bytes as lone surrogates, which cannot be written."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def expect_utf8(text: str, what: str) -> str:
    """Return the text. Raises UsageError if it is not UTF-8; `what` names it in the message."""
    if is_utf8(text):
        return text
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    raise UsageError(
        f"{what} is not UTF-8",
        why=f"it is {shown!r}; nothing was done",
        hint="use plain letters, or a terminal and a locale in UTF-8: `locale` shows yours",
    )
