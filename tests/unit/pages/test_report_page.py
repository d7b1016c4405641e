"""The page of a report: what it shows, and what it says of unknown figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ds01.api.seeing.report import Report, ReportBy, ReportRow
from ds01.pages.report.figures import activity_parts, hours_text, use_parts
from ds01.pages.report.page import report_page
from tests.pages.demo_report import demo_report

HOUR = timedelta(hours=1)


def row(**changes: object) -> ReportRow:
    base = demo_report().rows[0]
    return replace(base, **{"leased": 10 * HOUR, "held": 2 * HOUR, "judged": 1.0, "measured": 1.0} | changes)  # type: ignore[arg-type]


def test_hours_are_active_idle_or_held() -> None:
    assert activity_parts(row(idle=3 * HOUR)) == ((5.0, 3.0, 2.0), 0.0)


def test_hours_that_were_not_judged_are_unknown_and_not_active() -> None:
    assert activity_parts(row(idle=3 * HOUR, judged=0.5)) == ((1.0, 3.0, 2.0), 4.0)
    assert activity_parts(row(idle=None)) == ((0.0, 0.0, 2.0), 8.0)


def test_hours_that_were_not_measured_are_unknown_and_not_unused() -> None:
    assert use_parts(row(used=3 * HOUR)) == ((3.0, 5.0, 2.0), 0.0)
    assert use_parts(row(used=3 * HOUR, measured=0.5)) == ((3.0, 1.0, 2.0), 4.0)
    assert use_parts(row(used=None, measured=0.0)) == ((0.0, 0.0, 2.0), 8.0)


@pytest.mark.parametrize(("hours", "text"), [(0.0, "0 h"), (0.01, "below 0.1 h"), (2.5, "2.5 h"), (2000.0, "2 000 h")])
def test_little_is_not_nothing(hours: float, text: str) -> None:
    assert hours_text(hours * HOUR) == text


def test_all_kinds_of_rows_are_on_the_page() -> None:
    page = report_page("gpu", [demo_report(by) for by in ReportBy])
    for text in ("amelie", "researchers", "diffusion", "2:1", "pytorch/pytorch", "By GPU", "By image"):
        assert text in page


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"energy_price": None}, "Cost"),
        ({"co2_grams_per_kwh": None}, "CO₂"),
        ({"gpu_energy_kwh": None}, "of all GPUs"),
    ],
)
def test_what_the_policy_or_the_hardware_does_not_give_is_left_out(changes: dict[str, None], text: str) -> None:
    assert text in report_page("gpu", [demo_report()])
    assert text not in report_page("gpu", [replace(demo_report(), **changes)])  # type: ignore[arg-type]


def test_an_anonymous_report_says_so() -> None:
    page = report_page("gpu", [replace(demo_report(), anonymous=True)])
    assert "are numbers" in page


def test_a_problem_of_the_database_is_said() -> None:
    assert "Only leases are known" in report_page("gpu", [replace(demo_report(), problem="it is gone")])


def test_a_period_without_leases_has_no_charts() -> None:
    empty: Report = replace(demo_report(), rows=(), points=(), week=())
    page = report_page("gpu", [empty])
    assert "No GPU was leased" in page and "<figure>" not in page
