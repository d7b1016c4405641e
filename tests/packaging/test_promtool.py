"""Prometheus's own tool accepts the metrics, the alert rules, and the queries of the dashboard."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ds01.observe.metrics.exposition import exposition
from ds01.observe.metrics.families import metric_families
from tests.server_views import TOTALS, full_view, leased_slot

FOLDER = Path(__file__).parents[2] / "config" / "monitoring"
ALERTS = """\
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 5m
    input_series:
      - {{series: 'ds01_up{{instance="gpu1"}}', values: '1x20'}}
      - {{series: 'ds01_tick_last_good_timestamp_seconds{{instance="gpu1"}}', values: '0x20'}}
      - series: ds01_lease_idle_seconds{{instance="gpu1",user="alice",slot="0",container="t"}}
        values: 0+20000x20
      - series: ds01_outside_use{{instance="gpu1",slot="1",what="process",who="python",user="dave"}}
        values: _x10 2x5
    alert_rule_test:
      - {{eval_time: 15m, alertname: Ds01TickStale, exp_alerts: []}}
      - eval_time: 30m
        alertname: Ds01TickStale
        exp_alerts:
          - exp_labels: {{instance: gpu1, severity: critical}}
            exp_annotations:
              summary: The automation on gpu1 does not run
              description: The last good tick was 30m 0s ago. Nothing is warned, stopped or released.
      - {{eval_time: 20m, alertname: Ds01LeaseUnused, exp_alerts: []}}
      - eval_time: 35m
        alertname: Ds01LeaseUnused
        exp_alerts:
          - exp_labels: {{instance: gpu1, severity: info, user: alice, slot: "0", container: t}}
            exp_annotations:
              summary: alice does not use GPU 0 on gpu1
              description: t has been idle or stopped for 1d 14h 53m 20s.
      - eval_time: 70m
        alertname: Ds01OutsideUse
        exp_alerts:
          - exp_labels: {{instance: gpu1, severity: warning, slot: "1", what: process, who: python, user: dave}}
            exp_annotations:
              summary: GPU 1 on gpu1 is used outside ds01
              description: process python of dave. The slot is not leased meanwhile.
      - {{eval_time: 70m, alertname: Ds01Missing, exp_alerts: []}}
"""

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (Debian's package prometheus)")


def promtool(*words: str | Path, stdin: str | None = None) -> None:
    done = subprocess.run(
        ["promtool", *map(str, words)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_metrics_are_well_formed() -> None:
    view = full_view(slots=(leased_slot(user='a"b\\c', container="é\x00\n\x1b[31m"), *full_view().slots[1:]))
    tick: dict[str, object] = {"looked_at": 1, "errors": [], "unknown": []}
    promtool("check", "metrics", stdin=exposition(metric_families(view, tick, TOTALS, version="1")))


def test_alert_rules_are_valid() -> None:
    promtool("check", "rules", FOLDER / "ds01-alerts.yaml")


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    tests = tmp_path / "tests.yaml"
    tests.write_text(ALERTS.format(rules=FOLDER / "ds01-alerts.yaml"))
    promtool("test", "rules", tests)


def test_queries_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    panels = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))["panels"]
    queries = [target["expr"].replace("$instance", ".*") for panel in panels for target in panel["targets"]]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
    promtool("check", "rules", path)
