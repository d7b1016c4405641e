"""What --guided says, step by step. The texts stand in config/guided.yaml."""

from __future__ import annotations

from functools import cache

from ds01.cli.session import Session


def explain(session: Session, step: str, **words: str) -> None:
    """Explain a step and wait for Enter on a terminal. Nothing without --guided."""
    if not session.guided or session.quiet:
        return
    text = _texts()[step]
    for name, value in words.items():
        text = text.replace("{" + name + "}", value)
    session.say()
    session.say("\n".join(f"│ {line}" for line in text.rstrip().splitlines()))
    if session.interactive:
        input("│ Enter to go on … ")


@cache
def _texts() -> dict[str, str]:
    import yaml

    from ds01.system.settings import config_file

    texts: dict[str, str] = yaml.safe_load(config_file("guided.yaml").read_text("utf-8"))
    return texts
