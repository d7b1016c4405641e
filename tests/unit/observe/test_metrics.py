"""The metrics as data, and as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ds01.api.seeing.server_view import ServerView, TickView
from ds01.observe.metrics.definitions import DEFINITIONS
from ds01.observe.metrics.exposition import exposition
from ds01.observe.metrics.families import metric_families, names
from tests import metrics_page
from tests.harness import NOON
from tests.server_views import TOTALS, full_view, held_slot, leased_slot, make_slot, make_user

TICK = {"looked_at": 2, "errors": [{"why": "x"}], "unknown": []}


def values(view: ServerView, name: str, tick: dict[str, object] | None = None) -> dict[tuple[str, ...], float]:
    """Return the samples of a metric by their labels."""
    families = metric_families(view, TICK if tick is None else tick, TOTALS, version="1.2")
    return {
        sample.labels: sample.value
        for family in families
        if family.definition.name == name
        for sample in family.samples
    }


def by_slot(view: ServerView, name: str) -> dict[str, float]:
    return {labels[0]: value for labels, value in values(view, name).items()}


def test_a_server_with_everything_has_every_metric() -> None:
    families = metric_families(full_view(), TICK, TOTALS, version="1.2")
    assert names(families) == {definition.name for definition in DEFINITIONS}


def test_every_sample_has_a_value_for_each_label() -> None:
    for family in metric_families(full_view(), TICK, TOTALS, version="1.2"):
        assert all(len(sample.labels) == len(family.definition.labels) for sample in family.samples)


def test_a_lease_names_its_holder() -> None:
    labels = ("0", "UUID-0", "0", "alice", "students", "thesis._.alice")
    assert values(full_view(), "ds01_lease_info")[labels] == 1
    assert values(full_view(), "ds01_lease_seconds")[labels] == 3600


def test_states_without_a_slot_are_zero() -> None:
    slots = values(full_view(), "ds01_slots")
    assert slots["mig", "2g.10gb", "free"] == 1
    assert slots["full", "", "free"] == 0


@pytest.mark.parametrize(
    ("slot", "idle"),
    [
        (leased_slot(), 0),
        (leased_slot(activity="idle", idle_since=NOON - timedelta(minutes=30)), 1800),
        (leased_slot(activity="unknown"), None),
        (leased_slot(activity=None), None),
        (held_slot(), 600),
    ],
)
def test_idle_time_of_a_lease(slot: object, idle: float | None) -> None:
    assert by_slot(full_view(slots=(slot,)), "ds01_lease_idle_seconds").get("0") == idle


def test_a_hold_has_what_is_left_of_it() -> None:
    assert by_slot(full_view(), "ds01_hold_seconds_left") == {"1:0": 7200}


def test_a_hold_without_end_has_no_end() -> None:
    assert by_slot(full_view(slots=(held_slot(until=None),)), "ds01_hold_seconds_left") == {}


def test_a_clock_that_was_set_back_gives_no_negative_times() -> None:
    slot = leased_slot(since=NOON + timedelta(hours=1))
    assert by_slot(full_view(slots=(slot,)), "ds01_lease_seconds") == {"0": 0}


def test_an_unlimited_quota_has_no_sample() -> None:
    users = (make_user("alice", gpus_limit=None), make_user("bob", gpus_limit=0))
    assert values(full_view(users=users), "ds01_user_slots_quota") == {("bob", "students"): 0}


def test_unknown_use_has_no_sample() -> None:
    assert values(full_view(users=(make_user("alice", cpu_percent=None),)), "ds01_user_cpu_cores") == {}


def test_without_an_answer_nothing_is_free_and_nothing_is_used_outside() -> None:
    view = full_view(unknown=("Docker does not answer",), slots=(leased_slot("0"), make_slot("1")), outside=())
    assert values(view, "ds01_up") == {(): 0}
    assert {labels[2] for labels in values(view, "ds01_slots")} == {"leased"}
    assert values(view, "ds01_outside_slots") == {}
    assert values(view, "ds01_lease_seconds")


def test_without_gpus_a_lease_is_not_called_lost() -> None:
    view = full_view(unknown=("the GPUs do not answer",), driver=None)
    assert values(view, "ds01_lease_lost") == {}


def test_a_lost_slot_is_marked() -> None:
    assert list(values(full_view(slots=(leased_slot(lost=True),)), "ds01_lease_lost").values()) == [1]


def test_an_unhealthy_gpu_is_marked() -> None:
    gpus = tuple(replace(gpu, unhealthy="needs a reset") for gpu in full_view().gpus[:1])
    assert list(values(full_view(gpus=gpus), "ds01_gpu_healthy").values()) == [0]


def test_without_a_tick_there_are_no_figures_of_one() -> None:
    view = full_view(tick=TickView(None, None, None, ()))
    assert not [
        name for name in names(metric_families(view, {}, TOTALS, version="1.2")) if name.startswith("ds01_tick")
    ]


def test_the_ticks_figures() -> None:
    assert values(full_view(), "ds01_tick_age_seconds") == {(): 180}
    assert values(full_view(), "ds01_tick_errors") == {(): 1}
    assert values(full_view(), "ds01_tick_last_good_timestamp_seconds") == {(): NOON.timestamp() - 180}


def test_an_empty_queue_is_zero() -> None:
    view = full_view(queue=())
    assert values(view, "ds01_queue_length") == {(): 0}
    assert values(view, "ds01_queue_oldest_wait_seconds") == {(): 0}


def test_several_uses_of_a_slot_are_counted() -> None:
    use = full_view().outside[0]
    view = full_view(outside=(use, replace(use, pid=4712), replace(use, who="java")))
    assert values(view, "ds01_outside_use") == {
        ("1:1", "process", "python", "dave"): 2,
        ("1:1", "process", "java", "dave"): 1,
    }
    assert values(view, "ds01_outside_slots") == {(): 1}


def test_the_text_has_help_and_type_of_everything() -> None:
    text = exposition(metric_families(full_view(), TICK, TOTALS, version="1.2"))
    parsed = {family.name: family for family in text_string_to_metric_families(text)}
    assert {name: (family.documentation, family.type) for name, family in parsed.items()} == {
        definition.name.removesuffix("_total"): (definition.help, "counter" if definition.counter else "gauge")
        for definition in DEFINITIONS
    }


def test_the_page_has_every_metric() -> None:
    assert metrics_page.page() == metrics_page.PAGE.read_text("utf-8")


def test_totals_are_by_user_and_group() -> None:
    assert values(full_view(), "ds01_user_lease_seconds_total") == {("alice", "students"): 7200}
    assert values(full_view(), "ds01_user_used_seconds_total") == {("alice", "students"): 1800}
