"""The frame of every page: metadata, policy of the browser, style sheet, title."""

from __future__ import annotations

from ds01.pages.markup import Content, element, render
from ds01.pages.style import STYLE_SHEET

# The browser refuses whatever is not in the page itself, should anything ever get into it.
SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render_page(title: str, *body: Content, refresh: int | None = None) -> str:
    """Return a whole page. `refresh`: seconds after which the browser loads it again."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=SECURITY_POLICY),
        None if refresh is None else element("meta", http_equiv="refresh", content=refresh),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        element("style", STYLE_SHEET),
    )
    return f"<!doctype html>\n{render(element('html', head, element('body', *body), lang='en'))}\n"
