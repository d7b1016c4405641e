"""Ctrl-C during a long operation."""

from __future__ import annotations

import click

from ds01.errors import Ds01Error


class Interruption(click.Abort):
    """Ctrl-C, with an error that says what was and was not done. A subclass of Abort, which click lets pass."""

    def __init__(self, error: Ds01Error) -> None:
        super().__init__(error.message)
        self.error = error
