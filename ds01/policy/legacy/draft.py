"""A new policy under construction and its text: one key a line, so that each old key can become a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import field

from ds01.dataclass import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@%+/-]*|-1")
_NOT_PLAIN = re.compile(r"(?i)null|~|true|false|yes|no|on|off|y|n|[0-9.+-][0-9._+-]*|0x.*|\d{4}-\d\d-\d\d.*|.*:\d+")


@dataclass(frozen=True)
class Change:
    """What happened to a key of an old file, in words, with its place."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.text}"


@dataclass
class Block:
    """A section: keys with their values as text or with subsections, and comments."""

    entries: dict[str, str | Block | list[str]] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    def section(self, name: str) -> Block:
        """Return the subsection `name`, created if missing."""
        section_block = self.entries.setdefault(name, Block())
        assert isinstance(section_block, Block)
        return section_block

    def set_key(self, key: str, value: str) -> None:
        """Set a key, like `memory` or `aggregate.memory`."""
        name, dot, inner = key.partition(".")
        if dot:
            self.section(name).entries[inner] = value
        else:
            self.entries[name] = value

    def lines(self, indent: int = 0) -> Iterator[str]:
        """Yield the lines of the section's content."""
        space = "  " * indent
        for name, value in self.entries.items():
            if isinstance(value, str):
                yield f"{space}{name}: {value}"
            elif isinstance(value, Block):
                yield f"{space}{name}:"
                yield from value.lines(indent + 1)
            else:
                yield f"{space}{name}:"
                yield from (f"{space}  - {item}" for item in value)
        yield from (f"{space}# {comment}" for comment in self.comments)


def yaml_string(text: str) -> str:
    """Return a string as YAML that every parser reads as that string."""
    if _PLAIN.fullmatch(text) and not _NOT_PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def yaml_list(texts: list[str]) -> str:
    """Return a list on one line."""
    return f"[{', '.join(yaml_string(text) for text in texts)}]"


def yaml_flow_mapping(entries: dict[str, str]) -> str:
    """Return a section on one line; values are not quoted."""
    return f"{{{', '.join(f'{key}: {value}' for key, value in entries.items())}}}"


def comment_text(text: str) -> str:
    """Return a text shortened to one line, for a comment."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words if len(words) <= 80 else f"{words[:77]}..."
