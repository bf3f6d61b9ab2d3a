"""Time stamps in every spelling come to the same microsecond; what cannot be read is None, never an error."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.logs.times import read_time

MOMENT = 1_737_710_446_000_000  # 2025-01-24 09:20:46 UTC
SAME = [
    "2025-01-24T09:20:46Z", "2025-01-24 09:20:46", "2025-01-24T10:20:46+01:00", "2025-01-24T10:20:46+0100",
    "2025-01-24 09:20:46.000000", "2025-01-24T09:20:46.000000000Z", "2025-01-24 09:20:46 UTC", "20250124T092046Z",
    "2025-01-24 04:20:46 -0500 EST", "  2025-01-24T09:20:46Z ", "2025-01-24 09:20:46.000+00",
    "Fri, 24 Jan 2025 09:20:46 GMT", "Fri, 24 Jan 2025 10:20:46 +0100", "24 Jan 2025 09:20:46 +0000",
    1_737_710_446, 1_737_710_446.0, 1_737_710_446_000, 1_737_710_446_000_000, 1_737_710_446_000_000_000,
    "1737710446", "1737710446.0", "1737710446000", Decimal("1737710446.000000"),
    datetime(2025, 1, 24, 9, 20, 46, tzinfo=UTC), datetime(2025, 1, 24, 9, 20, 46),  # noqa: DTZ001 - a naive time
    datetime(2025, 1, 24, 4, 20, 46, tzinfo=timezone(timedelta(hours=-5))),
]  # fmt: skip


@pytest.mark.parametrize("value", SAME, ids=repr)
def test_every_spelling_is_the_same_moment(value: object) -> None:
    assert read_time(value) == MOMENT


@pytest.mark.parametrize(
    "value",
    [
        None, "", "yesterday", "12:30", "2025-13-01", "0000-00-00 00:00:00", 0, -1, "0", True, float("nan"),
        float("inf"), 10**400, "9" * 60, [], {}, b"2025", "2025-01-24T25:00:00Z", "Fri, 99 Foo 2025", "NaN", "1e9",
        "Mon, 10 Mar 2025 01:25:53 +99999999999999",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_time_is_none(value: object) -> None:
    assert read_time(value) is None


def test_a_naive_time_is_in_the_zone_given() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert read_time("2025-01-24 10:20:46", berlin) == MOMENT
    assert read_time("2025-07-24 11:20:46", berlin) == read_time("2025-07-24T09:20:46Z")
    assert read_time("2025-01-24T09:20:46Z", berlin) == MOMENT


def test_fractions_keep_their_microseconds() -> None:
    assert read_time("2025-01-24 09:20:46.847371") == MOMENT + 847_371
    assert read_time("2025-01-24T09:20:46.847371999Z") == MOMENT + 847_371
    assert read_time(1_795_338_676.872624) == 1_795_338_676_872_624


def test_a_bare_date_is_its_midnight() -> None:
    assert read_time("2025-01-24") == read_time(date(2025, 1, 24)) == read_time("20250124")


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(5000, 1, 1)))  # noqa: DTZ001
def test_iso_and_epoch_agree(naive: datetime) -> None:
    micros = read_time(naive.isoformat())
    assert micros == read_time(naive.isoformat(sep=" ") + "Z")
    assert micros is not None
    if micros >= 10**14:
        assert read_time(micros) == micros


@given(st.text() | st.floats() | st.integers() | st.binary())
def test_nothing_raises(value: object) -> None:
    moment = read_time(value)
    assert moment is None or moment > 0
