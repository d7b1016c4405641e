"""Build HTML and SVG from elements. Text and attributes are escaped when they are rendered, without exception.

Only the tags and attributes below exist: nothing here can load a resource, run a script, or leave the page.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from ds01.dataclass import dataclass

Node: TypeAlias = "Element | str"
# None is left out, and an iterable stands for what it yields.
Content: TypeAlias = "Element | str | Iterable[Content] | None"

_VOID_TAGS = frozenset({"meta"})
_TAGS = _VOID_TAGS | {
    "html", "head", "title", "style", "body", "header", "main", "section", "footer", "div", "span", "bdi", "p",
    "h1", "h2", "h3", "ul", "li", "dl", "dt", "dd", "strong", "small", "time", "figure", "figcaption",
    "table", "caption", "thead", "tbody", "tr", "th", "td",
    "svg", "g", "rect", "line", "path", "desc",
}  # fmt: skip
_ATTRIBUTES = frozenset({
    "lang", "class", "role", "scope", "colspan", "datetime", "charset", "name", "content", "http-equiv",
    "aria-label", "aria-hidden", "data-label", "viewBox", "preserveAspectRatio",
    "x", "y", "width", "height", "x1", "x2", "y1", "y2", "d",
})  # fmt: skip


@dataclass(frozen=True)
class Element:
    """An element with its attributes and children. Raises ValueError for a tag or an attribute that is not allowed."""

    tag: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Node, ...] = ()

    def __post_init__(self) -> None:
        unknown = {name for name, _ in self.attributes} - _ATTRIBUTES
        if self.tag not in _TAGS or unknown:
            raise ValueError(f"<{self.tag}> with {sorted(unknown)} is not allowed in a page")
        if self.tag == "style" and any(isinstance(child, Element) or "<" in child for child in self.children):
            raise ValueError("a style sheet with < could end early")  # the only text that is not escaped


def element(tag: str, *content: Content, **attributes: str | float | None) -> Element:
    """Return an element. `class_` is class, `aria_label` is aria-label; an attribute that is None is left out."""
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    return Element(tag, tuple((key, _attribute_text(value)) for key, value in pairs), tuple(_flatten(content)))


def untrusted(text: str) -> Element:
    """Return a name from outside, isolated: right-to-left letters in it do not reorder what stands around it."""
    return element("bdi", text)


def printable(text: str) -> str:
    """Return the text without control and formatting characters, which could hide or reorder other text."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)


def render(node: Node) -> str:
    """Return the HTML of a node."""
    return "".join(_render(node))


def _render(node: Node) -> Iterator[str]:
    if isinstance(node, str):
        yield html.escape(printable(node))
        return
    attributes = "".join(f' {key}="{html.escape(printable(value))}"' for key, value in node.attributes)
    yield f"<{node.tag}{attributes}>"
    if node.tag in _VOID_TAGS:
        return
    for child in node.children:
        if node.tag == "style" and isinstance(child, str):
            yield child
        else:
            yield from _render(child)
    yield f"</{node.tag}>"


def _attribute_text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _flatten(content: Iterable[Content]) -> Iterator[Node]:
    for item in content:
        if isinstance(item, (str, Element)):
            yield item
        elif item is not None:
            yield from _flatten(item)
