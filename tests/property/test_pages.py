"""Whatever names, reasons and words of others contain, the pages have the same elements with the same attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ds01.api.seeing.report import ReportBy
from ds01.pages.markup import printable
from ds01.pages.report.page import report_page
from ds01.pages.status.page import status_page
from tests.pages.demo import SLOTS, VIEW
from tests.pages.demo_report import demo_report

TEXTS = st.text(min_size=1, max_size=40) | st.sampled_from(
    [
        "</style><script>alert(1)</script>",
        "\"onload='x",
        "<!--",
        "]]>",
        "&lt;",
        "<bdi dir=rtl>",
        "--></title><img src=x>",
    ]
)


class Structure(HTMLParser):
    """The elements of a page in their order with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.elements.append(("a comment", ()))

    def unknown_decl(self, data: str) -> None:
        self.elements.append(("a declaration", ()))


def status(texts: Sequence[str]) -> str:
    """Return the page of the server with these texts in all places that users, programs or the hardware fill."""
    user, name, why, model, other = texts
    return status_page(
        replace(
            VIEW,
            machine=replace(VIEW.machine, name=other),
            gpus=tuple(replace(gpu, model=model, unhealthy=why) for gpu in VIEW.gpus),
            slots=tuple(
                replace(
                    slot,
                    slot=other,
                    user=user,
                    name=name,
                    why=why,
                    model=model,
                    profile=model if slot.profile else None,
                )
                for slot in SLOTS
            ),
            supply=tuple(replace(item, model=model) for item in VIEW.supply),
            queue=tuple(replace(waiter, user=user, name=name) for waiter in VIEW.queue),
            reservations=tuple(replace(item, slots=(other,), user=user, group=name) for item in VIEW.reservations),
            complaints=(why, other),
            unknown=(why,),
        )
    )


def report(texts: Sequence[str]) -> str:
    """Return the page of a month with these texts in all such places."""
    user, name, why, currency, other = texts
    reports = [demo_report(by) for by in (ReportBy.USER, ReportBy.GPU)]
    return report_page(
        other,
        [
            replace(
                each,
                rows=tuple(replace(row, name=user if index % 2 else name) for index, row in enumerate(each.rows)),
                currency=currency,
                problem=why,
            )
            for each in reports
        ],
    )


SETTINGS = settings(deadline=None, max_examples=60)  # a page takes its time, above all to parse
PLAIN_STATUS = Structure(status(["a", "b", "c", "d", "e"])).elements
PLAIN_REPORT = Structure(report(["a", "b", "c", "d", "e"])).elements


@SETTINGS
@given(st.lists(TEXTS, min_size=5, max_size=5))
@example(["</bdi>", "<script>", "\x00", "\u202e", "'\""])
def test_no_text_changes_the_page_of_the_server(texts: list[str]) -> None:
    page = Structure(status(texts))
    assert page.elements == PLAIN_STATUS
    shown = "\n".join(page.words)
    for text in texts[:3]:
        assert printable(text).strip() in shown


@SETTINGS
@given(st.lists(TEXTS, min_size=5, max_size=5))
@example(["</bdi>", "<script>", "\x00", "\u202e", "'\""])
def test_no_text_changes_the_page_of_a_report(texts: list[str]) -> None:
    assert Structure(report(texts)).elements == PLAIN_REPORT


@SETTINGS
@given(st.text())
def test_no_character_that_controls_or_reorders_reaches_a_page(text: str) -> None:
    shown = Structure(status([text or "x"] * 5)).words
    assert all(letter.isprintable() or letter in "\n\t" for word in shown for letter in word)
