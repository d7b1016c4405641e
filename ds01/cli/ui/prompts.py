"""Questions at a terminal. The caller makes sure that there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from ds01.cli.ui.output import print_text
from ds01.errors import UsageError
from ds01.system.utf8 import is_utf8


def confirm(question: str, *, default: bool) -> bool:
    """Ask a yes-or-no question until it is answered. Enter alone is the default."""
    words = {"y": True, "yes": True, "n": False, "no": False, "": default}
    while True:
        answer = ask_line(f"{question} [{'Y/n' if default else 'y/N'}]").strip().casefold()
        if answer in words:
            return words[answer]
        print_text("Answer y or n.")


def choose(title: str, choices: Sequence[str], *, default: int | None = 1) -> int:
    """Ask for one of several choices; return its index from 0. `default`: a number from 1, None: Enter is no answer."""
    print_text(title)
    for index, choice in enumerate(choices, 1):
        print_text(f"  {index:2}) {choice}")
    return ask_number("Number", maximum=len(choices), default=default) - 1


def ask_number(question: str, *, maximum: int | None, default: int | None = 1) -> int:
    """Ask for a number from 1 to `maximum` (None: no maximum), until the answer is valid."""
    while True:
        answer: str = _read_answer(lambda: click.prompt(question, default=None if default is None else str(default)))
        text = answer.strip()
        if text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= (maximum or int(text)):
            return int(text)
        print_text(f"Enter a number from 1 to {maximum}." if maximum else "Enter a number of at least 1.")


def choose_several(count: int) -> list[int]:
    """Ask for any of `count` things shown before: numbers, `all`, or nothing; return indexes from 0."""
    while True:
        answer = ask_line("Which? Numbers, or all; Enter for none")
        words = answer.replace(",", " ").split()
        if [word.lower() for word in words] == ["all"]:
            return list(range(count))
        if all(word in {str(number) for number in range(1, count + 1)} for word in words):
            return sorted({int(word) - 1 for word in words})
        print_text(f"Enter numbers from 1 to {count}.")


def ask_text(question: str, *, default: str | None = None, check: Callable[[str], object] = str) -> str:
    """Ask for a line of text until `check` accepts it, by not raising UsageError."""
    while True:
        answer: str = _read_answer(lambda: click.prompt(question, default=default, show_default=bool(default)))
        try:
            check(answer)
        except UsageError as error:
            print_text("; ".join(filter(None, (error.message, error.why, error.hint))))
        else:
            return answer


def ask_line(question: str, *, suffix: str = ": ") -> str:
    """Ask for a line of text; Enter alone returns an empty one."""
    return str(_read_answer(lambda: click.prompt(question, default="", show_default=False, prompt_suffix=suffix)))


def _read_answer(prompt: Callable[[], str]) -> str:
    """Return the answer to a question; ask again if it is not UTF-8.

    Ctrl-C ends the line, so that the next message does not follow the question.
    """
    while True:
        try:
            answer = prompt()
        except click.Abort:
            print_text(error=True)
            raise
        except UnicodeDecodeError:
            answer = None
        if answer is not None and is_utf8(answer):
            return answer
        print_text("That was not UTF-8. Try again.")
