"""The metrics in Prometheus's text format. The only module that imports prometheus_client, which takes 0.1 s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ds01.observe.metrics.families import Family


class _Families(Collector):
    """Families as prometheus_client collects them. It gets a registry of its own: the default one has other metrics."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            kind = CounterMetricFamily if family.definition.counter else GaugeMetricFamily
            metric = kind(family.definition.name, family.definition.help, labels=family.definition.labels or None)
            for sample in family.samples:
                metric.add_metric(sample.labels, sample.value)
            yield metric


def exposition(families: Iterable[Family]) -> str:
    """Return the text: labels are escaped, and every name has its help and type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(tuple(families)))
    return generate_latest(registry).decode()
