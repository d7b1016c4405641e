"""Notices of administrators who are not root: they wait in the outbox, and the tick delivers them."""

from __future__ import annotations

import os

import pytest

from ds01.journal.notices import Notice
from ds01.journal.outbox import Letter
from tests.bed import Bed
from tests.ticking import Ticking

ALICE = "thesis._.70001"


def leave(bed: Bed, *, sender: int = 0) -> None:
    notice = Notice(bed.clock(), "stopped", ALICE, "thesis was stopped at once by boss.", "container-start thesis")
    outbox = bed.ledger.outbox()
    assert outbox.put(Letter(bed.people["alice"], bed.people["alice"], "alice", notice))
    if os.geteuid() == 0:
        for waiting in outbox.queued_letters():
            os.chown(waiting.path, sender, sender)


def test_the_tick_delivers_it_once_and_shows_it(ticking: Ticking) -> None:
    leave(ticking.bed)
    ticking.tick(minutes=5)
    (notice,) = ticking.post()
    assert (notice.kind, notice.text) == ("stopped", "thesis was stopped at once by boss.")
    assert [text for _, text in ticking.shown] == [notice.text]
    ticking.tick(minutes=5)
    assert ticking.post() == []


def test_it_is_delivered_also_without_docker(ticking: Ticking) -> None:
    leave(ticking.bed)
    ticking.bed.engine.set_answering(False)
    ticking.any_tick(minutes=5)
    assert ticking.kinds() == ["stopped"]


def test_a_dry_run_leaves_it(ticking: Ticking) -> None:
    leave(ticking.bed)
    ticking.make(dry_run=True).run()
    assert ticking.post() == []
    ticking.tick(minutes=5)
    assert ticking.kinds() == ["stopped"]


def test_what_cannot_be_delivered_waits(ticking: Ticking) -> None:
    leave(ticking.bed)
    box = ticking.bed.state / "notices"
    box.write_text("no folder")
    assert [item.action for item in ticking.any_tick(minutes=5).errors] == ["notice"]
    box.unlink()
    ticking.tick(minutes=5)
    assert ticking.kinds() == ["stopped"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(("sender", "kinds"), [("boss", ["stopped"]), ("alice", ["stopped"]), ("bob", [])])
def test_only_administrators_tell_others_something(ticking: Ticking, sender: str, kinds: list[str]) -> None:
    leave(ticking.bed, sender=ticking.bed.people[sender])
    ticking.tick(minutes=5)
    assert ticking.kinds() == kinds
    assert list(ticking.bed.ledger.outbox().queued_letters()) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"uid": 1}'])
def test_what_is_no_letter_is_removed(ticking: Ticking, content: bytes) -> None:
    leave(ticking.bed)
    for waiting in ticking.bed.ledger.outbox().queued_letters():
        waiting.path.write_bytes(content)
    assert ticking.tick(minutes=5).complete
    assert list(ticking.bed.ledger.outbox().queued_letters()) == []
