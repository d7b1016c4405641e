"""Parse `.dockerignore`, which excludes files from a build, with Docker's rules. Pure."""

from __future__ import annotations

import posixpath
import re

from ds01.dataclass import dataclass

IGNORE_FILE = ".dockerignore"


@dataclass(frozen=True)
class _Rule:
    text: str
    pattern: re.Pattern[str]
    is_exception: bool  # `!PATTERN`


@dataclass(frozen=True)
class IgnoreRules:
    """The rules of one file; the last match wins. Paths are relative, with slashes."""

    rules: tuple[_Rule, ...] = ()

    def leaves_out(self, path: str) -> bool:
        """Return whether a file is left out: it, or a directory above it, matches a rule."""
        parts = path.split("/")
        names = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        is_left_out = False
        for rule in self.rules:
            if is_left_out == rule.is_exception and any(rule.pattern.fullmatch(name) for name in names):
                is_left_out = not rule.is_exception
        return is_left_out

    def leaves_out_all_below(self, folder: str) -> bool:
        """Return whether everything below a directory is left out, so that it need not be read."""
        if not self.leaves_out(folder):
            return False
        kept = (rule.text for rule in self.rules if rule.is_exception)
        return not any(text.startswith((f"{folder}/", "*", "?", "[")) or _first_wildcard(text, folder) for text in kept)


def parse_ignore(text: str) -> IgnoreRules:
    """Parse a `.dockerignore`. A pattern that Docker would not understand leaves out nothing."""
    rules = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        is_exception = pattern.startswith("!")
        normalised = posixpath.normpath(pattern.removeprefix("!").strip() or ".").lstrip("/")
        if normalised in ("", "."):
            continue
        try:
            rules.append(_Rule(normalised, re.compile(_regex(normalised)), is_exception))
        except re.error:
            continue
    return IgnoreRules(tuple(rules))


def _first_wildcard(text: str, folder: str) -> bool:
    """Return whether a pattern with a wildcard may match something below a directory."""
    before = re.split(r"[*?\[]", text, maxsplit=1)[0]
    return before != text and f"{folder}/".startswith(before)


def _regex(pattern: str) -> str:
    """Convert a pattern to a regular expression: `*` and `?` stay within a directory, `**` crosses directories."""
    regex = ""
    position = 0
    while position < len(pattern):
        if pattern.startswith("**", position):
            position += 2
            if pattern.startswith("/", position):
                position += 1
                regex += "(?:.*/)?"
            else:
                regex += ".*"
            continue
        letter = pattern[position]
        position += 1
        if letter == "*":
            regex += "[^/]*"
        elif letter == "?":
            regex += "[^/]"
        elif letter == "\\" and position < len(pattern):
            regex += re.escape(pattern[position])
            position += 1
        elif letter == "[" and "]" in pattern[position:]:
            end = pattern.index("]", position)
            regex += f"[{pattern[position:end]}]"
            position = end + 1
        else:
            regex += re.escape(letter)
    return regex
