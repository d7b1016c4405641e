"""Elements: what is escaped, and what cannot be built."""

from __future__ import annotations

import pytest

from ds01.pages.markup import Element, element, render, untrusted


def test_text_is_escaped() -> None:
    assert render(element("p", "<script>&amp;")) == "<p>&lt;script&gt;&amp;amp;</p>"


def test_attributes_are_escaped() -> None:
    assert render(element("p", class_="\"><b a='")) == '<p class="&quot;&gt;&lt;b a=&#x27;"></p>'


def test_names_from_outside_are_isolated() -> None:
    assert render(untrusted("שלום")) == "<bdi>שלום</bdi>"


@pytest.mark.parametrize("letter", ["\x00", "\x1b", "\x7f", "\x9b", "‮", "⁦", "​", "\ud800", "\r"])
def test_control_and_formatting_characters_are_replaced(letter: str) -> None:
    assert render(element("p", f"a{letter}b", aria_label=letter)) == '<p aria-label="�">a�b</p>'


def test_none_is_left_out() -> None:
    assert render(element("p", None, ["a", None], class_=None)) == "<p>a</p>"


@pytest.mark.parametrize("tag", ["script", "a", "img", "iframe", "link", "object", "form", "use", "image", "base"])
def test_a_tag_that_could_load_or_leave_is_not_built(tag: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        element(tag)


@pytest.mark.parametrize("name", ["onclick", "style", "href", "src", "srcset", "fill", "x y", "id"])
def test_an_attribute_that_could_act_or_load_is_not_built(name: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        Element("p", ((name, "value"),))


def test_a_style_sheet_cannot_end_early() -> None:
    with pytest.raises(ValueError, match="style sheet"):
        element("style", "p {}</style><script>")
