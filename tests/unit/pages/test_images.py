"""The pictures of the documentation: small, and each is shown somewhere."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
LARGEST = 150 << 10  # bytes: everybody who clones the repository fetches them


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert sizes and not {name: size for name, size in sizes.items() if size > LARGEST}


def test_each_picture_is_shown_in_a_page() -> None:
    pages = "".join(page.read_text("utf-8") for page in DOCS.glob("*.md"))
    assert not [path.name for path in (DOCS / "images").iterdir() if f"images/{path.name}" not in pages]
