"""The explanations of --guided, step by step. Their texts are in config/guided.yaml."""

from __future__ import annotations

import textwrap
from functools import cache

from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.cli.ui.output import terminal_width

WIDEST = 100  # columns; longer lines are hard to read


def explain(session: Session, step: str, **words: str) -> None:
    """With --guided, explain a step once, and wait for Enter on a terminal."""
    if not session.guided or session.quiet or step in session.explained_steps:
        return
    session.explained_steps.add(step)
    text = " ".join(_texts()[step].split())
    for name, value in words.items():
        text = text.replace("{" + name + "}", value)
    session.say()
    for line in textwrap.wrap(text, min(terminal_width(), WIDEST) - 2, break_on_hyphens=False):
        session.say(f"│ {line}")
    if session.interactive:
        prompts.ask_line("│ Press Enter to continue …", suffix=" ")


@cache
def _texts() -> dict[str, str]:
    import yaml

    from ds01.system.settings import config_file

    texts: dict[str, str] = yaml.safe_load(config_file("guided.yaml").read_text("utf-8"))
    return texts
