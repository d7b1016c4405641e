"""Texts from outside: arguments, answers, folder names. Everything that ds01 records or sends to Docker is UTF-8."""

from __future__ import annotations

from ds01.errors import UsageError


def is_utf8(text: str) -> bool:
    """Return whether the text was UTF-8 outside. Python keeps other bytes as lone surrogates, which no file takes."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def expect_utf8(text: str, what: str) -> str:
    """Return the text. Raises UsageError if `what` it is, an argument or a folder, is not UTF-8."""
    if is_utf8(text):
        return text
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    raise UsageError(
        f"{what} is not UTF-8",
        why=f"it is {shown!r}; nothing was done",
        hint="use plain letters, or a terminal and a locale in UTF-8: `locale` shows yours",
    )
