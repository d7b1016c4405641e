"""The alert rules and the dashboard in config/monitoring use only metrics and labels that ds01 has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ds01.observe.metrics.definitions import DEFINITIONS

FOLDER = Path(__file__).parents[3] / "config" / "monitoring"
LABELS = {definition.name: {*definition.labels, "instance"} for definition in DEFINITIONS}
METRIC = re.compile(r"\bds01_[a-z0-9_]+")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "ds01-alerts.yaml").read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
    return document


def dashboard_queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (v["definition"] for v in dashboard()["templating"]["list"] if "definition" in v)


QUERIES = [*(rule["expr"] for rule in rules()), *dashboard_queries()]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_uses_metrics_and_labels_that_exist(query: str) -> None:
    used = METRIC.findall(query)
    assert used
    assert set(used) <= LABELS.keys()
    known = set.union(*(LABELS[name] for name in used))
    assert set(re.findall(r"([a-z_]+)\s*=~?\"", query)) <= known
    for names in re.findall(r"by \(([^)]*)\)", query):
        assert set(names.replace(" ", "").split(",")) <= known


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_names_labels_that_its_metrics_have(rule: dict[str, Any]) -> None:
    known = set.union(*(LABELS[name] for name in METRIC.findall(rule["expr"])))
    texts = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.([a-z_]+)", texts)) <= known
    assert rule["labels"]["severity"] in ("info", "warning", "critical")


def test_what_has_to_be_alerted_is() -> None:
    used = {name for rule in rules() for name in METRIC.findall(rule["expr"])}
    assert used >= {
        "ds01_tick_last_good_timestamp_seconds", "ds01_tick_errors", "ds01_gpu_healthy", "ds01_lease_lost",
        "ds01_outside_use", "ds01_lease_idle_seconds", "ds01_queue_oldest_wait_seconds", "ds01_filesystem_free_bytes",
    }  # fmt: skip


def test_the_dashboard_asks_for_its_data_source() -> None:
    document = dashboard()
    variables = {variable["name"]: variable for variable in document["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    sources = [panel["datasource"] for panel in document["panels"]]
    sources += [target["datasource"] for panel in document["panels"] for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_the_dashboards_panels_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
