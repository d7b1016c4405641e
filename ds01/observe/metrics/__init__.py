"""Metrics for Prometheus: what ds01 knows better than other exporters."""
