"""What is left of the view for everybody."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from ds01.api.seeing.server_view import DiskUseView, OutsideView, ProcessView, ServerView, TickView
from ds01.observe.server.public_view import public_view
from ds01.system.data import to_json
from tests.pages.demo import NOW, SLOTS, VIEW, container

PROCESS = ProcessView(4242, "pia", "/opt/hidden/train --key=hidden", 1, None)
FULL = replace(
    VIEW,
    slots=(
        replace(SLOTS[0], processes=(PROCESS,)),
        replace(SLOTS[5], why="process hidden (pid 4242)", container="hidden"),
        replace(SLOTS[6], why="hidden"),
    ),
    containers=(
        replace(item := container("thesis", "mehmet"), container=replace(item.container, image="hidden/image")),
        replace(item, container=replace(item.container, name="hidden", container="hidden", uid=None)),
    ),
    queue=(replace(VIEW.queue[0], id="4242.hidden"),),
    reservations=tuple(replace(each, reason="hidden") for each in VIEW.reservations),
    outside=(OutsideView("3", "process", "hidden", "pia", 4242, NOW, "/opt/hidden"),),
    tick=TickView(NOW, 1.0, NOW, ("hidden._.1: /hidden: no space",)),
    disks=(replace(VIEW.disks[0], path="/hidden"),),
    complaints=("3 is used outside ds01 by hidden",),
    unknown=("Docker does not answer; containers are shown as last recorded (/hidden.sock)",),
)


def text(view: ServerView) -> str:
    return str(to_json(view))


@pytest.mark.parametrize("names", [True, False])
def test_words_that_only_administrators_see_are_gone(names: bool) -> None:
    assert "hidden" in text(FULL)
    shown = text(public_view(FULL, names=names))
    assert "hidden" not in shown and "4242" not in shown and "pia" not in shown


def test_a_new_part_of_the_view_is_not_shown_to_everybody_unseen() -> None:
    """Whoever adds a field decides in `public_view` what everybody may see of it, and then adds it here."""
    assert {field.name for field in fields(ServerView)} == {
        "at", "driver", "simulated", "machine", "gpus", "slots", "supply", "containers", "users", "groups", "queue",
        "reservations", "outside", "tick", "disks", "complaints", "unknown", "schema", "disk_use",
    }  # fmt: skip


def test_users_and_containers_are_named() -> None:
    shown = text(public_view(VIEW, names=True))
    assert all(name in shown for name in ("amelie", "diffusion", "lukas", "chiara"))


def test_without_names_nobody_is_named() -> None:
    shown = text(public_view(VIEW, names=False))
    for name in ("amelie", "diffusion", "lukas", "finetune", "chiara", "mehmet", "thesis"):
        assert name not in shown
    assert "@vision" in shown  # a group is not a person


def test_what_is_known_of_the_hardware_stays() -> None:
    shown = public_view(VIEW, names=False)
    assert (shown.gpus, shown.supply, shown.machine) == (VIEW.gpus, VIEW.supply, VIEW.machine)
    assert [slot.state for slot in shown.slots] == [slot.state for slot in VIEW.slots]
    assert "ECC" in str(next(slot.why for slot in shown.slots if slot.state == "unhealthy"))


def test_complaints_are_still_made() -> None:
    complaints = public_view(FULL, names=False).complaints
    assert "3 is used outside ds01 by a process" in complaints
    assert any("the last tick could not do all of its work" in each for each in complaints)


def test_disk_use_is_by_user_and_so_only_shown_with_names() -> None:
    view = replace(VIEW, disk_use=(DiskUseView("workspaces", "amelie", 70001, 1 << 30, NOW),))
    assert public_view(view, names=True).disk_use == view.disk_use
    assert public_view(view, names=False).disk_use == ()
