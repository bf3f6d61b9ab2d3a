"""Time stamps as logs write them, to microseconds since 1970 UTC.

ISO 8601 with or without a zone, epochs in seconds, milli-, micro- or nanoseconds as numbers or text, RFC 1123 and 2822,
and what Parquet gives. Which zone a naive time is in is for the caller to say.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - subtracted from naive times in UTC
_NUMBER = re.compile(r"\d{1,25}(?:\.\d*)?")
_TRAILING_ZONE = re.compile(r"\s+(?:([+-]\d\d:?\d\d)(?:\s+[A-Z]{1,5})?|UTC|GMT|Z)$")
# An epoch below each bound is in that many microseconds a unit: until the year 5138 seconds stay below 10^11.
_EPOCH_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
_MAX_NANOSECONDS = 10**20


def read_time(value: Any, zone: tzinfo = UTC) -> int | None:
    """Return a time as microseconds since 1970 UTC; None where it cannot be read.

    Args:
        value: as the log has it: text, a number, or a datetime from Parquet.
        zone: of naive times.
    """
    if isinstance(value, str):
        return _read_text(value.strip(), zone)
    if isinstance(value, datetime):
        return _micros(value, zone)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        return _read_epoch(value)
    if isinstance(value, date):
        return _micros(datetime(value.year, value.month, value.day), zone)  # noqa: DTZ001 - the zone is applied next
    return None


def _read_text(text: str, zone: tzinfo) -> int | None:
    if text[4:5] == "-" and text[:4].isdecimal():  # by far the most common
        try:
            return _micros(datetime.fromisoformat(text), zone)
        except ValueError:
            pass
    if _NUMBER.fullmatch(text) and not (len(text) == 8 and text.startswith(("19", "20"))):  # 20250124 is a date
        return _read_epoch(Decimal(text))
    for reader in (datetime.fromisoformat, _spaced_zone, parsedate_to_datetime):
        try:
            return _micros(reader(text), zone)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _spaced_zone(text: str) -> datetime:
    """Read "2025-01-24 09:20:46 UTC" and "2025-01-24 09:20:46.8 +0200 CEST"."""
    found = _TRAILING_ZONE.search(text)
    if not found:
        raise ValueError
    return datetime.fromisoformat(text[: found.start()] + (found.group(1) or "+00:00"))


def _micros(moment: datetime, zone: tzinfo) -> int | None:
    try:
        if moment.tzinfo is not None:
            since = moment - EPOCH
        else:
            since = moment - _NAIVE_EPOCH if zone is UTC else moment.replace(tzinfo=zone) - EPOCH
    except OverflowError:
        return None
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return micros if micros > 0 else None


def _read_epoch(number: float | Decimal) -> int | None:
    """Tell the unit by the size; 0 and less are what a writer puts who has no time."""
    if not 0 < number < _MAX_NANOSECONDS:  # false for NaN as well
        return None
    for bound, micros in _EPOCH_UNITS:
        if number < bound:
            return round(number * micros) or None
    return int(number) // 1000
