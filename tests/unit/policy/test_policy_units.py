"""Durations, sizes, numbers and times: documented forms only, with their exact meaning."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from ds01.policy import units

UTC = timezone.utc


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0s", timedelta(0)),
        ("60s", timedelta(minutes=1)),
        ("30m", timedelta(minutes=30)),
        ("0.5h", timedelta(minutes=30)),
        ("48h", timedelta(hours=48)),
        ("1.5d", timedelta(hours=36)),
        ("1w", timedelta(days=7)),
        ("0.000001s", timedelta(microseconds=1)),
    ],
)
def test_duration_is_parsed_exactly(text: str, span: timedelta) -> None:
    assert units.parse_duration(text) == span


@pytest.mark.parametrize(
    "text",
    [
        "", "48", "0", "48:00", "-1h", "+1h", "1 h", " 1h", "1h ", "1h\n", "1H", "1M", "h", ".5h", "5.h", "1e3s",
        "048h", "1_000s", "1h30m", "infh", "nan", "null", "never", "0.0000001s", "0.33333h1", "99999999999999999999h",
        "5300w", "٤٨h", "1y", "1ms",
    ],
)  # fmt: skip
def test_any_other_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a number with its unit"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0b", 0),
        ("10k", 10240),
        ("512m", 512 << 20),
        ("32g", 32 << 30),
        ("32G", 32 << 30),
        ("1.5g", 3 << 29),
        ("2t", 2 << 40),
    ],
)
def test_a_size_counts_in_powers_of_1024(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "32", "0", "-1g", "32gb", "32GB", "32GiB", "032g", "0x10g", "1e9b", "0.1g", "8388608t", "1_0g", "g", "3 g"],
)
def test_any_other_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["", "0123", "0x1", "1_0", "1.0", "-1", "+1", "1e3", "١", "true", " 1", "1\n", "5:00"])
def test_whole_numbers_are_plain_decimal(text: str) -> None:
    with pytest.raises(ValueError, match="a whole number from 0"):
        units.parse_integer(text)


def test_numbers_keep_to_their_range() -> None:
    assert units.parse_integer("100", 1, 100) == 100
    assert units.parse_number("1.5") == 1.5
    for text in ("0", "101"):
        with pytest.raises(ValueError, match="from 1 to 100"):
            units.parse_integer(text, 1, 100)
    for text in (".inf", "nan", "1.", "01.5", "1.0000001"):
        with pytest.raises(ValueError, match="a number from 0"):
            units.parse_number(text)


def test_date_ends_with_the_day_in_the_server_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    end = units.parse_time("2027-03-31", berlin)
    assert end == datetime(2027, 4, 1, tzinfo=berlin) - timedelta(microseconds=1)
    assert end.tzinfo is UTC


def test_day_of_a_clock_change_has_its_real_length() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    length = units.parse_time("2027-03-28", berlin) - units.parse_time("2027-03-28", berlin, day_begins=True)
    assert length == timedelta(hours=23) - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-12-01T08:00Z", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2026-12-01T08:00:30Z", datetime(2026, 12, 1, 8, 0, 30, tzinfo=UTC)),
        ("2026-12-01T08:00:30.5+01:00", datetime(2026, 12, 1, 7, 0, 30, 500000, tzinfo=UTC)),
    ],
)
def test_a_time_has_its_zone(text: str, when: datetime) -> None:
    assert units.parse_time(text, UTC) == when


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-12-01T08:00", "2026-12-01 08:00Z", "2026-12-01T08Z", "2026-02-31", "2026-12-01T25:00Z", "20261201",
        "2026-W01-1", "2026-12-01T08:00+25:00", "31.12.2026", "9999-12-31", "0001-01-01T00:00+23:00", "2026-12-1",
        "0000-01-01",
    ],
)  # fmt: skip
def test_any_other_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a date like"):
        units.parse_time(text, UTC)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(days=3), "72h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=90), "90s"),
        (timedelta(milliseconds=500), "0.5s"),
    ],
)
def test_durations_are_written_in_hours_at_most(span: timedelta, text: str) -> None:
    assert units.format_duration(span) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0b"), (64 << 30, "64g"), (3 << 29, "1536m"), (1 << 40, "1t"), (1025, "1025b")]
)
def test_sizes_are_written_in_the_largest_exact_unit(size: int, text: str) -> None:
    assert units.format_size(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0b"),
        (1023, "1023b"),
        (1025, "1k"),
        (64 << 30, "64g"),
        (3 << 29, "1.5g"),
        (24105 << 20, "23.5g"),
        ((1 << 30) - 1, "1g"),
        (1 << 40, "1t"),
        (5 << 50, "5120t"),
    ],
)
def test_sizes_for_people_are_rounded_to_one_decimal(size: int, text: str) -> None:
    assert units.readable_size(size) == text


def test_sizes_that_are_compared_do_not_look_the_same() -> None:
    assert units.readable_sizes(24 << 30, (24 << 30) - (20 << 20)) == ("24g", "23.98g")
    assert units.readable_sizes(64 << 30, 24105 << 20) == ("64g", "23.5g")
    assert units.readable_sizes(1 << 30, 1 << 30) == ("1g", "1g")
    assert units.readable_sizes(1 << 40, (1 << 40) + 1) == ("1t", "1099511627777b")


def test_negative_quantities_are_not_formatted() -> None:
    with pytest.raises(ValueError, match="not negative"):
        units.format_duration(timedelta(seconds=-1))
    with pytest.raises(ValueError, match="not negative"):
        units.format_size(-1)
    with pytest.raises(ValueError, match="not negative"):
        units.readable_size(-1)


@pytest.mark.parametrize(("value", "text"), [(16.0, "16"), (1.5, "1.5"), (100, "100"), (0.0, "0"), (0.01, "0.01")])
def test_numbers_are_written_without_needless_decimals(value: float, text: str) -> None:
    assert units.format_number(value) == text


def test_quoted_text_has_no_control_characters() -> None:
    with pytest.raises(ValueError, match="x1b") as caught:
        units.parse_size("\x1b[31m")
    assert str(caught.value).isprintable()
