"""The table of docs/monitoring.md. `python -m tests.metrics_page` writes it."""

from __future__ import annotations

from pathlib import Path

from ds01.observe.metrics.definitions import DEFINITIONS

PAGE = Path(__file__).parents[1] / "docs" / "monitoring.md"
BEGIN, END = "<!-- metrics -->\n", "<!-- end of metrics -->"


def metrics_table() -> str:
    """Return the table of all metrics."""
    rows = [
        f"| `{each.name}` | {', '.join(f'`{label}`' for label in each.labels) or '–'} | {each.help} |"
        for each in DEFINITIONS
    ]
    return "\n".join(["| metric | labels | what it is |", "|---|---|---|", *rows, ""])


def page() -> str:
    """Return the page with the present table."""
    text = PAGE.read_text("utf-8")
    return text.partition(BEGIN)[0] + BEGIN + metrics_table() + END + text.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
