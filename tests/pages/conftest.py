"""A browser for all tests here; they are skipped without Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pages.browser import Browser, browser, find_chromium


@pytest.fixture(scope="session")
def tab() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium to open the pages with")
    with browser(program) as opened:
        yield opened
