"""Ctrl-C in the middle of something that takes its time."""

from __future__ import annotations

import click

from ds01.errors import Ds01Error


class Interruption(click.Abort):
    """Ctrl-C, with an error that says what was and was not done by then. Click lets its own kind of abort pass."""

    def __init__(self, error: Ds01Error) -> None:
        super().__init__(error.message)
        self.error = error
