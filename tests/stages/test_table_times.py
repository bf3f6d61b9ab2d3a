"""Moments in tables are text as Arrow writes them, whichever way they are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import compute

from callcost.stages.tables.parquet_rows import _LAST_TICK, _iso_times

Unit = Literal["s", "ms", "us", "ns"]
ZONES = (None, "UTC", "America/New_York", "+02:00")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", [*_LAST_TICK])
@given(data=st.data())
def test_moments_are_text_as_arrow_writes_them(unit: Unit, zone: str | None, data: st.DataObject) -> None:
    last = _LAST_TICK[unit]
    ticks = data.draw(st.lists(st.none() | st.integers(0, last) | st.integers(-last // 4, last)))
    moments = pa.array(ticks, pa.timestamp(unit, zone))
    naive = moments.cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit)) if zone else moments
    finest: Any = naive.cast(pa.timestamp("us"), safe=False) if unit == "ns" else naive
    texts = compute.strftime(finest, format="%Y-%m-%dT%H:%M:%S" + ("Z" if zone else ""))
    for start in (0, 1):  # a slice has a place in its buffer
        assert _iso_times(moments[start:]).to_pylist() == texts.to_pylist()[start:]


def test_a_moment_is_written_in_utc() -> None:
    moment = datetime(2026, 3, 1, 8, 0, 0, 120_000, UTC)
    (text,) = _iso_times(pa.array([moment], pa.timestamp("ms", "Europe/Berlin"))).to_pylist()
    assert text == "2026-03-01T08:00:00.120Z"
