"""`.dockerignore`: which files beside a Dockerfile are no part of a build. Pure; the rules are Docker's."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

FILE = ".dockerignore"


@dataclass(frozen=True)
class _Rule:
    text: str
    pattern: re.Pattern[str]
    keeps: bool  # `!PATTERN`


@dataclass(frozen=True)
class Ignore:
    """The rules of one file, the last that fits wins. Paths are relative, with slashes."""

    rules: tuple[_Rule, ...] = ()

    def leaves_out(self, path: str) -> bool:
        """Whether a file is left out: it, or a directory above it, fits a rule."""
        parts = path.split("/")
        names = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        left_out = False
        for rule in self.rules:
            if left_out == rule.keeps and any(rule.pattern.fullmatch(name) for name in names):
                left_out = not rule.keeps
        return left_out

    def leaves_out_all_below(self, folder: str) -> bool:
        """Whether nothing below a directory is wanted, so that nobody needs to look into it."""
        if not self.leaves_out(folder):
            return False
        kept = (rule.text for rule in self.rules if rule.keeps)
        return not any(text.startswith((f"{folder}/", "*", "?", "[")) or _first_wildcard(text, folder) for text in kept)


def parse(text: str) -> Ignore:
    """Read a `.dockerignore`. A pattern that Docker would not understand leaves out nothing."""
    rules = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        keeps = pattern.startswith("!")
        cleaned = posixpath.normpath(pattern.removeprefix("!").strip() or ".").lstrip("/")
        if cleaned in ("", "."):
            continue
        try:
            rules.append(_Rule(cleaned, re.compile(_regex(cleaned)), keeps))
        except re.error:
            continue
    return Ignore(tuple(rules))


def _first_wildcard(text: str, folder: str) -> bool:
    """Whether a pattern with a wildcard may mean something below a directory."""
    before = re.split(r"[*?\[]", text, maxsplit=1)[0]
    return before != text and f"{folder}/".startswith(before)


def _regex(pattern: str) -> str:
    """A pattern as a regular expression: `*` and `?` stay within a directory, `**` goes through any number of them."""
    found = ""
    at = 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
                found += "(?:.*/)?"
            else:
                found += ".*"
            continue
        letter = pattern[at]
        at += 1
        if letter == "*":
            found += "[^/]*"
        elif letter == "?":
            found += "[^/]"
        elif letter == "\\" and at < len(pattern):
            found += re.escape(pattern[at])
            at += 1
        elif letter == "[" and "]" in pattern[at:]:
            end = pattern.index("]", at)
            found += f"[{pattern[at:end]}]"
            at = end + 1
        else:
            found += re.escape(letter)
    return found
