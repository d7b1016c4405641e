"""A Dockerfile is read as Docker reads it."""

from __future__ import annotations

import pytest

from ds01.images.instructions import parse_instructions


def read(text: str) -> list[tuple[str, str]]:
    return [(one.word, one.rest) for one in parse_instructions(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM a\nrun  b  c\n", [("FROM", "a"), ("RUN", "b  c")]),
        ("# c\n\n  FROM a\n#RUN x", [("FROM", "a")]),
        ("RUN a \\\n  b \\  \n# no\n\n  # no\n c\nCMD d", [("RUN", "a   b  c"), ("CMD", "d")]),
        ("RUN a # b \\\nc", [("RUN", "a # b c")]),
        ("# a \\\nRUN b", [("RUN", "b")]),
        ("FROM a\r\nRUN b \\\r\n c\r\n", [("FROM", "a"), ("RUN", "b  c")]),
        ("# escape=`\nRUN a `\n b\nRUN c:\\\nCMD d", [("RUN", "a  b"), ("RUN", "c:\\"), ("CMD", "d")]),
        ("# a comment\n# escape=`\nRUN a `\nCMD d", [("RUN", "a `"), ("CMD", "d")]),
        ("COPY <<EOF /x\nRUN evil\nEOF\nCMD a", [("COPY", "<<EOF /x"), ("CMD", "a")]),
        ("RUN <<-'A' <<B\nCMD 1\n\tA\nCMD 2\nB\nCMD a", [("RUN", "<<-'A' <<B"), ("CMD", "a")]),
        ('RUN ["a", "<<EOF"]\nCMD a\nEOF', [("RUN", '["a", "<<EOF"]'), ("CMD", "a"), ("EOF", "")]),
        ("RUN echo $((1<<X))\nCMD a", [("RUN", "echo $((1<<X))"), ("CMD", "a")]),
        ("FROM\ta\nCOPY\t x /y", [("FROM", "a"), ("COPY", "x /y")]),
        ("", []),
        ("RUN a \\", [("RUN", "a")]),
    ],
)
def test_the_instructions_of_a_dockerfile(text: str, found: list[tuple[str, str]]) -> None:
    assert read(text) == found


def test_an_instruction_knows_its_first_line() -> None:
    assert [one.line for one in parse_instructions("# c\nFROM a\n\nRUN b \\\n c\nCMD d")] == [1, 3, 5]
