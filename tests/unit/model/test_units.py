import doctest
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.model import units
from transferhub.model.units import (
    format_bytes,
    format_count,
    format_seconds,
    parse_bandwidth,
    parse_bytes,
    parse_count,
    parse_duration,
    parse_moment,
    parse_rate,
)

NOW = datetime(2024, 5, 8, tzinfo=UTC)


def test_the_examples_hold() -> None:
    assert doctest.testmod(units).failed == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("5", 5),
        ("5B", 5),
        ("10k", 10_000),
        ("1.5G", 1_500_000_000),
        ("1.5 GB", 1_500_000_000),
        ("16MiB", 16 << 20),
        ("16 mib", 16 << 20),
        ("1mb", 1_000_000),
        ("2TiB", 2 << 40),
        ("1_000", 1_000),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_bytes(text, field="x") == size


@pytest.mark.parametrize("text", ["", "MB", "-5", "5 apples", "1e9", "५", "1.MB", "0x10", "5MiBs"])
def test_a_size_that_is_none_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_bytes(text, field="min_size")
    assert caught.value.field == "min_size"
    assert repr(text) in caught.value.message


@pytest.mark.parametrize("text", ["8Mb", "100kbit", "5Gb"])
def test_bits_are_told_from_bytes(text: str) -> None:
    with pytest.raises(InputError, match="bits; write bytes"):
        parse_bytes(text, field="x")


@pytest.mark.parametrize(
    ("text", "rate"),
    [("50MB/s", 50_000_000), ("50MB", 50_000_000), ("1MiB/s", 1 << 20), ("60MB/min", 1_000_000)],
)
def test_a_bandwidth_is_read(text: str, rate: int) -> None:
    assert parse_bandwidth(text, field="bandwidth") == rate


@pytest.mark.parametrize("text", ["0", "0MB/s", "5MB/year", "/s", "5MB/", "fast"])
def test_a_bandwidth_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_bandwidth(text, field="bandwidth")


@pytest.mark.parametrize(
    ("text", "rate"), [("500/s", 500), ("0.5", 0.5), ("1k/s", 1_000), ("6/m", 0.1)]
)
def test_a_rate_is_read(text: str, rate: float) -> None:
    assert parse_rate(text, field="requests") == pytest.approx(rate)


@pytest.mark.parametrize("text", ["0/s", "5MB/s", "5KiB", "five"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_rate(text, field="requests")


def test_a_count_is_whole() -> None:
    assert parse_count("1.5k", field="x") == 1_500
    with pytest.raises(InputError, match="whole"):
        parse_count("1.5", field="x")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7d", 604_800), ("12h", 43_200), ("1h30m", 5_400), ("1.5h", 5_400), ("2W", 1_209_600)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text, field="x") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "7", "d", "7 years", "-1d", "99999999999999d"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_duration(text, field="x")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", datetime(2024, 5, 1, tzinfo=UTC)),
        ("2024-05-01", datetime(2024, 5, 1, tzinfo=UTC)),
        ("2024-05-01T00:00:00Z", datetime(2024, 5, 1, tzinfo=UTC)),
        ("2024-05-01T08:00:00+08:00", datetime(2024, 5, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_is_an_age_or_a_time(text: str, moment: datetime) -> None:
    assert parse_moment(text, field="newer_than", now=NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "999999d", ""])
def test_a_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_moment(text, field="newer_than", now=NOW)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.7, "1.0 KB"),
        (1_000, "1.0 KB"),
        (999_960, "1.0 MB"),
        (10**18, "1,000.0 PB"),
    ],
)
def test_a_size_is_written(size: float, text: str) -> None:
    assert format_bytes(size) == text


@given(st.integers(min_value=0, max_value=10**18))
def test_a_size_that_was_written_reads_as_about_the_same(size: int) -> None:
    text = format_bytes(size).replace(",", "")
    assert parse_bytes(text, field="x") == pytest.approx(size, rel=0.051)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0s"),
        (0.44, "0.4s"),
        (9.96, "10s"),
        (59.6, "1m 00s"),
        (200, "3m 20s"),
        (7_512, "2h 05m"),
        (273_600, "3d 04h"),
    ],
)
def test_a_duration_is_written(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_count_is_written_in_groups() -> None:
    assert format_count(1_234_567) == "1,234,567"
