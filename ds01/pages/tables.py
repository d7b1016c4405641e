"""Tables whose rows become cards on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ds01.pages.markup import Content, Element, element


def card_table(headings: Sequence[str], rows: Iterable[Sequence[Content]]) -> Element:
    """Return a table. The first cell of a row is its heading; an empty cell (None) is left out of a card.

    The roles are explicit, since browsers forget them for a table that is laid out as cards.
    """
    names = (element("th", name, scope="col", role="columnheader") for name in headings)
    return element(
        "table",
        element("thead", element("tr", names, role="row"), role="rowgroup"),
        element("tbody", (_row(headings, row) for row in rows), role="rowgroup"),
        class_="cards",
        role="table",
    )


def _row(headings: Sequence[str], cells: Sequence[Content]) -> Element:
    cells_and_names = zip(cells[1:], headings[1:], strict=True)
    return element(
        "tr",
        element("th", cells[0], scope="row", role="rowheader"),
        (
            element(
                "td",
                "–" if content is None else content,
                data_label=name,
                role="cell",
                class_="nothing" if content is None else None,
            )
            for content, name in cells_and_names
        ),
        role="row",
    )
