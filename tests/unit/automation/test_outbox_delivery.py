"""Notices of administrators without root wait in the outbox, and the tick delivers them."""

from __future__ import annotations

import os

import pytest

from ds01.journal.notices import Notice
from ds01.journal.outbox import Letter
from tests.harness import Harness
from tests.tick_harness import TickHarness

ALICE_THESIS = "thesis._.70001"


def leave(harness: Harness, *, sender: int = 0) -> None:
    notice = Notice(
        harness.clock(), "stopped", ALICE_THESIS, "thesis was stopped at once by boss.", "container-start thesis"
    )
    outbox = harness.ledger.outbox()
    assert outbox.put(Letter(harness.people["alice"], harness.people["alice"], "alice", notice))
    if os.geteuid() == 0:
        for waiting in outbox.queued_letters():
            os.chown(waiting.path, sender, sender)


def test_the_tick_delivers_it_once_and_shows_it(ticker: TickHarness) -> None:
    leave(ticker.harness)
    ticker.tick(minutes=5)
    (notice,) = ticker.take_notices()
    assert (notice.kind, notice.text) == ("stopped", "thesis was stopped at once by boss.")
    assert [text for _, text in ticker.shown] == [notice.text]
    ticker.tick(minutes=5)
    assert ticker.take_notices() == []


def test_it_is_delivered_also_without_docker(ticker: TickHarness) -> None:
    leave(ticker.harness)
    ticker.harness.engine.set_answering(False)
    ticker.run_tick(minutes=5)
    assert ticker.take_notice_kinds() == ["stopped"]


def test_a_dry_run_leaves_it(ticker: TickHarness) -> None:
    leave(ticker.harness)
    ticker.make_tick(dry_run=True).run()
    assert ticker.take_notices() == []
    ticker.tick(minutes=5)
    assert ticker.take_notice_kinds() == ["stopped"]


def test_what_cannot_be_delivered_waits(ticker: TickHarness) -> None:
    leave(ticker.harness)
    box = ticker.harness.state / "notices"
    box.write_text("no folder")
    assert [item.action for item in ticker.run_tick(minutes=5).errors] == ["notice"]
    box.unlink()
    ticker.tick(minutes=5)
    assert ticker.take_notice_kinds() == ["stopped"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(("sender", "kinds"), [("boss", ["stopped"]), ("alice", ["stopped"]), ("bob", [])])
def test_only_administrators_tell_others_something(ticker: TickHarness, sender: str, kinds: list[str]) -> None:
    leave(ticker.harness, sender=ticker.harness.people[sender])
    ticker.tick(minutes=5)
    assert ticker.take_notice_kinds() == kinds
    assert list(ticker.harness.ledger.outbox().queued_letters()) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"uid": 1}'])
def test_invalid_letter_is_removed(ticker: TickHarness, content: bytes) -> None:
    leave(ticker.harness)
    for waiting in ticker.harness.ledger.outbox().queued_letters():
        waiting.path.write_bytes(content)
    assert ticker.tick(minutes=5).complete
    assert list(ticker.harness.ledger.outbox().queued_letters()) == []
