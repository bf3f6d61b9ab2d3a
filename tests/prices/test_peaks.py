"""Off-peak hours: start inclusive, end exclusive, over midnight, by the weekday of the list's own zone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.prices.book.archive import microseconds
from callcost.prices.peak_hours import Hours, read_hours, steps_of, windows_in


@pytest.mark.parametrize(
    ("fields", "moment", "is_open"),
    [
        ({"hours_utc": "16:30-00:30"}, "2026-09-07T16:29:59", False),
        ({"hours_utc": "16:30-00:30"}, "2026-09-07T16:30:00", True),
        ({"hours_utc": "16:30-00:30"}, "2026-09-08T00:29:59", True),
        ({"hours_utc": "16:30-00:30"}, "2026-09-08T00:30:00", False),
        ({"hours_utc": "00:00-00:00"}, "2026-09-08T12:00:00", True),
        ({"hours_utc": ["01:00-02:00", "03:00-04:00"]}, "2026-09-08T03:30:00", True),
        ({"hours_utc": ["01:00-02:00", "03:00-04:00"]}, "2026-09-08T02:30:00", False),
        ({"windows": [{"hours_utc": "00:00-00:00", "weekdays": ["Sat", "sunday"]}]}, "2026-09-06T12:00:00", True),
        ({"windows": [{"hours_utc": "00:00-00:00", "weekdays": ["Sat", "sunday"]}]}, "2026-09-07T12:00:00", False),
        ({"windows": [{"hours_utc": "00:00-00:00", "weekdays": 1}]}, "2026-09-06T17:00:00", False),
        (
            {"weekday_timezone": "Asia/Shanghai", "windows": [{"hours_utc": "00:00-00:00", "weekdays": [1]}]},
            "2026-09-06T17:00:00", True,
        ),
        ({"weekday_timezone": "Moon/Crater", "windows": [{"hours_utc": "00:00-00:00", "weekdays": [7]}]},
         "2026-09-06T17:00:00", True),
        ({"hours_utc": "noon"}, "2026-09-06T12:00:00", False),
        ({"hours_utc": None}, "2026-09-06T12:00:00", False),
        ({"windows": [{"hours_utc": "00:00-00:00", "weekdays": ["someday", None]}]}, "2026-09-06T12:00:00", False),
    ],
)  # fmt: skip
def test_a_window_is_open_from_its_start_until_its_end(fields: dict[str, Any], moment: str, is_open: bool) -> None:
    assert read_hours(fields).open_at(microseconds(moment)) is is_open


@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(1, 7), min_size=1),
            st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1439)), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.integers(0, 14 * 86_400), min_size=20, max_size=20),
)
def test_windows_in_words_are_read_as_they_were_written(
    windows: list[tuple[set[int], list[tuple[int, int]]]], seconds: list[int]
) -> None:
    hours = Hours(tuple((frozenset(days), tuple(spans)) for days, spans in windows))
    read = read_hours({"windows": windows_in(hours.words)})
    assert [read.open_at(second * 1_000_000) for second in seconds] == [
        hours.open_at(second * 1_000_000) for second in seconds
    ]


def test_a_step_is_the_longest_time_in_which_nothing_changes() -> None:
    hours, halves = read_hours({"hours_utc": "10:00-12:00"}), read_hours({"hours_utc": "16:30-00:30"})
    elsewhere = read_hours({"hours_utc": "10:00-12:00", "weekday_timezone": "Asia/Kolkata"})

    assert (hours.step, halves.step, elsewhere.step) == (120, 30, 15)
    assert steps_of([hours, halves]) == 30
    assert steps_of([]) == 1440
