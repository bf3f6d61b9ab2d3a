"""Off-peak hours: when a provider's second price list is open.

Knows how a cost map writes windows down: ``hours_utc`` "HH:MM-HH:MM" (start inclusive, end exclusive, over midnight if
the end is smaller, all day if they are equal), ``weekdays`` 1-7 from Monday or by name, read in ``weekday_timezone``
(UTC by default). What the hours cost is left to ``tariffs.py``.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

OFF_PEAK = "off_peak_pricing"  # the field of an entry that has the rates of such hours
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 24 * 60
_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_QUARTER = 15  # minutes; every zone's offset is a multiple of it


@dataclasses.dataclass(frozen=True, slots=True)
class Hours:
    """The windows of one price list.

    Attributes:
        windows: (weekdays from Monday = 1, spans of minutes of the UTC day) pairs.
        zone: IANA name of the time zone in which a weekday is read.
    """

    windows: tuple[tuple[frozenset[int], tuple[tuple[int, int], ...]], ...]
    zone: str = "UTC"

    def open_at(self, moment: int) -> bool:
        """Say whether a moment (microseconds since 1970 UTC) is in one of the windows."""
        when = _EPOCH + timedelta(microseconds=moment)
        minute = when.hour * 60 + when.minute
        weekday = when.astimezone(_zone(self.zone)).isoweekday()
        return any(weekday in days and any(_in(span, minute) for span in spans) for days, spans in self.windows)

    @property
    def words(self) -> str:
        """The windows as text, such as "10:00-01:00 on 1-5, 00:00-00:00 on 6-7" (weekdays from Monday = 1)."""
        texts = []
        for days, spans in self.windows:
            hours = " ".join(f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in spans)
            texts += [f"{hours} on {first}-{last}" for first, last in _runs(days)]
        return ", ".join(texts) + ("" if self.zone == "UTC" else f" ({self.zone})")

    @property
    def step(self) -> int:
        """Minutes between moments at which a window can open or close."""
        edges = [edge for _, spans in self.windows for span in spans for edge in span]
        return math.gcd(_DAY if self.zone == "UTC" else _QUARTER, *edges)


def read_hours(fields: Mapping[str, Any]) -> Hours:
    """Return the windows of an ``off_peak_pricing`` field; one that cannot be read is never open."""
    listed = fields.get("windows")
    windows = [
        (_weekdays(window.get("weekdays")), tuple(filter(None, map(_span, _as_list(window.get("hours_utc"))))))
        for window in (listed if isinstance(listed, list) and listed else [fields])
        if isinstance(window, Mapping)
    ]
    return Hours(tuple(windows), str(fields.get("weekday_timezone") or "UTC"))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _weekdays(value: Any) -> frozenset[int]:
    if value is None:
        return frozenset(range(1, 8))
    return frozenset(filter(None, map(_weekday, _as_list(value))))


def _weekday(value: Any) -> int | None:
    if isinstance(value, str):
        found = [n for n, name in enumerate(_NAMES, 1) if len(value) >= len("mon") and name.startswith(value.lower())]
        return found[0] if found else None
    return int(value) if isinstance(value, int) else None


def _span(value: Any) -> tuple[int, int] | None:
    try:
        start, end = (int(part[:2]) * 60 + int(part[3:]) for part in str(value).replace(" ", "").split("-"))
    except ValueError:
        return None
    return start % _DAY, end % _DAY


def _in(span: tuple[int, int], minute: int) -> bool:
    start, end = span
    if start == end:
        return True
    return start <= minute < end if start < end else minute >= start or minute < end


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the last: a folder of zones, such as America
        return UTC


def _runs(days: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of days that follow each other."""
    for _, run in itertools.groupby(enumerate(sorted(days)), lambda pair: pair[1] - pair[0]):
        follow = [day for _, day in run]
        yield follow[0], follow[-1]


def windows_in(words: str) -> list[dict[str, Any]]:
    """Return windows that are written as ``Hours.words`` writes them as a cost map does, for ``read_hours``.

    >>> windows_in("10:00-01:00 on 1-5, 00:00-00:00 on 6-7")[1]
    {'hours_utc': ['00:00-00:00'], 'weekdays': [6, 7]}
    """
    windows = []
    for window in words.split(", "):
        hours, _, days = window.partition(" on ")
        first, last = map(int, days.split("-"))
        windows.append({"hours_utc": hours.split(), "weekdays": list(range(first, last + 1))})
    return windows


def steps_of(hours: Iterable[Hours]) -> int:
    """Return the minutes between moments at which any of several price lists can open or close."""
    return math.gcd(_DAY, *(each.step for each in hours))
