"""Parse a Dockerfile's instructions as Docker does: continued lines joined, comments and here-documents left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ds01.dataclass import dataclass

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S+)\s*")
_HEREDOC = re.compile(r"<<(-?)\s*([\"']?)([A-Za-z_][A-Za-z0-9_.]*)\2")


@dataclass(frozen=True)
class Instruction:
    """`word` in upper case, `rest` on one line; `line` is the number of its first line, from 0.

    `heredocs`: the words that end the here-documents after it.
    """

    word: str
    rest: str
    line: int
    heredocs: tuple[str, ...] = ()


def parse_instructions(text: str) -> tuple[Instruction, ...]:
    """Return all instructions in order. Invalid text gives instructions that Docker would refuse, never an error."""
    return tuple(_parse_lines(text.split("\n")))


def _parse_lines(lines: list[str]) -> Iterator[Instruction]:
    continued = re.compile(rf"{re.escape(_continuation_character(lines))}[ \t\r]*$")
    number = 0
    while number < len(lines):
        first, joined = number, ""
        while number < len(lines):
            line = lines[number]
            number += 1
            if line.lstrip().startswith("#") or not line.strip():
                if joined:  # such lines are ignored inside an instruction
                    continue
                break
            joined += continued.sub("", line)
            if not continued.search(line):
                break
        word, rest = (*joined.split(None, 1), "", "")[:2]
        if not word:
            continue
        word = word.upper()
        heredocs: tuple[str, ...] = ()
        if word in ("RUN", "COPY", "ADD") and not rest.lstrip().startswith("["):
            heredocs, number = _skip_heredocs(rest, lines, number)
        yield Instruction(word, rest.strip(), first, heredocs)


def _continuation_character(lines: list[str]) -> str:
    """Return the character that continues a line, which a directive at the top may change."""
    for line in lines:
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape":
            return directive[2]
    return "\\"


def _skip_heredocs(rest: str, lines: list[str], number: int) -> tuple[tuple[str, ...], int]:
    """Return the here-documents of an instruction, and the number of the first line after them."""
    found = []
    for tabs, _, name in _HEREDOC.findall(rest):
        end = number
        while end < len(lines) and (lines[end].lstrip("\t") if tabs else lines[end]).rstrip("\r") != name:
            end += 1
        if end == len(lines):  # not a here-document, such as `<<` in a shell expression
            break
        found.append(name)
        number = end + 1
    return tuple(found), number
