"""Turns the Markdown of docs/man/ and docs/policy.md into groff's macros for manual pages.

It knows headings, paragraphs, bullets, definitions (`term`, and `: text` below it), fenced code, **bold**, *italic*,
`code` and links. Anything else is an error, so that no page is silently wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise


def troff(text: str) -> str:
    """Return a text in which groff sees no commands."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in text.split("\n"))


def inline(text: str) -> str:
    """Return one paragraph with its marks as fonts."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*)", text)
    fonts = {"`": "B", "**": "B", "*": "I"}
    done = []
    for part in parts:
        mark = "`" if part[:1] == "`" else "*" * (len(part) - len(part.lstrip("*")))
        if len(part) > 2 * len(mark) > 0 and part.endswith(mark):
            done.append(f"\\f{fonts[mark]}{_escaped(part[len(mark) : -len(mark)])}\\fR")
        else:
            done.append(_escaped(part))
    whole = "".join(done)
    return f"\\&{whole}" if whole.startswith((".", "'")) else whole


def sections(markdown: str) -> dict[str, str]:
    """Return the text below each heading of the second level, in order; what is above the first one has the key ""."""
    body = re.sub(r"\A# .*\n", "", markdown)
    marks = [*re.finditer(r"^## (.+)\n", body, re.MULTILINE)]
    ends = [*(mark.start() for mark in marks), len(body)]
    found = {"": body[: ends[0]].strip("\n")}
    for mark, (_, end) in zip(marks, pairwise(ends), strict=True):
        found[mark[1].replace("`", "")] = body[mark.end() : end].strip("\n")
    return found


def macros(markdown: str) -> Iterator[str]:
    """Yield the lines of a manual page for the text of one section."""
    blocks = re.split(r"(```\w*\n.*?^```$)|\n{2,}", markdown, flags=re.DOTALL | re.MULTILINE)
    for block in (block.strip("\n") for block in blocks if block and block.strip("\n")):
        if block.startswith("```"):
            yield from (".PP", ".RS 4", ".nf", troff("\n".join(block.split("\n")[1:-1])), ".fi", ".RE")
        elif block.startswith("### "):
            yield f".SS {inline(block[4:])}"
        elif block.startswith("- "):
            for item in re.split(r"^- ", block, flags=re.MULTILINE)[1:]:
                yield from (".IP \\(bu 2", inline(_joined(item)))
        elif re.search(r"^: ", block, re.MULTILINE):
            term, _, text = block.partition("\n: ")
            yield from (".TP", inline(term), inline(_joined(text)))
        elif re.match(r"[#|>]|\d+\. |<", block):
            raise ValueError(f"not known here: {block.splitlines()[0]}")
        else:
            yield from (".PP", inline(_joined(block)))


def see_also(text: str) -> list[str]:
    """Return the references of `name(1), other(5)` as macros."""
    found = re.findall(r"([\w.-]+)\(([15])\)", text)
    return [f".BR {troff(page)} ({section})" + ("," if number < len(found) else "")
            for number, (page, section) in enumerate(found, 1)]  # fmt: skip


def _joined(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")
