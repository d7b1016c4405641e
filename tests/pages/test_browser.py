"""The pages in a real browser: nothing is loaded, nothing complained of, nothing cut off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ds01.pages.status.page import status_page
from tests.pages.browser import Browser, PageServer, serve
from tests.pages.demo import SLOTS, VIEW
from tests.pages.demo_pages import demo_pages

LONG = "W" * 63
HOSTILE = "<script src='https://example.org/x.js'></script><img src=x onerror=alert(1)>\"'&\x1b[31m"
HOSTILE_VIEW = replace(
    VIEW,
    slots=tuple(
        replace(slot, user=HOSTILE, name=name)
        for slot, name in zip(SLOTS, (LONG, "שלום " * 9, "界" * 40), strict=False)
    ),
    complaints=(HOSTILE, LONG * 4),
)
PATHS = ("/status", "/report", "/hostile")


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    with serve({**demo_pages(), "/hostile": status_page(HOSTILE_VIEW)}) as started:
        yield started


@pytest.mark.parametrize("path", PATHS)
def test_a_page_loads_nothing_else_and_has_no_complaints(path: str, tab: Browser, server: PageServer) -> None:
    server.asked.clear()
    tab.open(server.address + path)
    assert tab.requests == [server.address + path]
    assert tab.complaints == []
    assert server.asked == [path]


@pytest.mark.parametrize("width", [320, 375, 800, 1280])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_wider_than_the_window(path: str, width: int, tab: Browser, server: PageServer) -> None:
    tab.show(width)
    tab.open(server.address + path)
    assert tab.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_no_scripts_and_nothing_that_leads_away(path: str, tab: Browser, server: PageServer) -> None:
    tab.open(server.address + path)
    assert (
        tab.evaluate("document.querySelectorAll('script, img, link, a, iframe, object, form, [onerror]').length") == 0
    )


def test_the_page_forbids_what_could_get_into_it(tab: Browser, server: PageServer) -> None:
    tab.open(server.address + "/status")
    tab.evaluate("document.body.appendChild(document.createElement('img')).src = '/secret.png'")
    tab.evaluate("document.body.appendChild(document.createElement('script')).textContent = 'document.title = \"run\"'")
    assert tab.evaluate("document.title") != "run"
    assert "/secret.png" not in server.asked
    assert any("Content Security Policy" in text for text in tab.complaints)


def background(tab: Browser) -> int:
    """Return how bright the background of the page is, from 0 to 765."""
    colour = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))


def test_a_page_is_dark_if_the_reader_wants_that_and_light_on_paper(tab: Browser, server: PageServer) -> None:
    tab.open(server.address + "/report")
    brightness = {}
    for name, options in {"light": {}, "dark": {"dark": True}, "paper": {"dark": True, "paper": True}}.items():
        tab.show(1280, **options)
        brightness[name] = background(tab)
    assert brightness["light"] == brightness["paper"] == 765 and brightness["dark"] < 100


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("path", ["/status", "/report"])
def test_text_has_enough_contrast(path: str, dark: bool, tab: Browser, server: PageServer) -> None:
    """WCAG asks for 4.5; each text against the nearest background behind it."""
    tab.show(1280, dark=dark)
    tab.open(server.address + path)
    assert tab.evaluate(LEAST_CONTRAST) >= 4.5


LEAST_CONTRAST = """(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const linear = value => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const clear = node => parse(getComputedStyle(node).backgroundColor)[3] === 0;
  let least = 21;
  for (const node of document.querySelectorAll('main *, header *, footer *')) {
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()) || node.closest('svg')) continue;
    let behind = node;
    while (behind.parentElement && clear(behind)) behind = behind.parentElement;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(parse(getComputedStyle(behind).backgroundColor))];
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least;
})()"""


def test_the_browser_loads_the_page_again(tab: Browser, server: PageServer) -> None:
    tab.open(server.address + "/status")
    assert tab.evaluate("document.querySelector('meta[http-equiv=refresh]').content") == "60"
