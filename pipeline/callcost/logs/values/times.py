"""Time stamps as logs write them, to microseconds since 1970 UTC.

ISO 8601 with or without a zone, epochs in seconds, milli-, micro- or nanoseconds as numbers or text, dates with the
names of months, clocks of 12 and of 24 hours, RFC 1123 and 2822, and what Parquet gives. A text is read whole or not at
all: what is left over would make it another time. Which zone a naive time is in is for the caller to say.

24:00 is the midnight that ends the day, a leap second (hh:59:60) the second after it, as POSIX has it. More digits than
microseconds are cut off. A zone beside an offset is its name only.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 253_402_214_400_000_000  # 9999-12-31 UTC: from here on it is the year 10000 somewhere, which is no date
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - subtracted from naive times in UTC
_NUMBER = re.compile(r"\d{1,25}(?:\.\d*)?")
FIRST_EPOCH = 10**8  # seconds, in 1973: no call is older, so that smaller numbers are years, months, parts of a clock
# An epoch below each bound is in that many microseconds a unit: until the year 5138 seconds stay below 10^11.
_EPOCH_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
_MAX_NANOSECONDS = 10**20
# 20250124, 202501240920 and 20250124092046 are no epochs
_COMPACT = tuple((19 * 10**digits, 21 * 10**digits) for digits in (6, 10, 12))
_COMPACT_TEXT = re.compile(r"((?:19|20)\d{6})(\d{6}|\d{4})?", re.ASCII)
# fromisoformat takes any sign before the clock, and after a fraction of six digits skips what it does not know.
_ISO_CLOCK = r"\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?(?:[Zz]|[+-]\d\d(?::?\d\d(?::?\d\d(?:\.\d+)?)?)?)?"
_ISO_DAY = re.compile(rf"\d{{4}}-\d\d-\d\d(?:[Tt ]{_ISO_CLOCK})?", re.ASCII)
_ISO_OTHER = re.compile(rf"(?:\d{{8}}|\d{{4}}-?W\d\d(?:-?\d)?)(?:[Tt ]{_ISO_CLOCK})?", re.ASCII)
_LONGEST = 100  # characters of a time
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOURS_BEHIND = {  # of the zones that RFC 2822 names; others are called the same in several places
    "Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "EDT": 4, "EST": 5, "CDT": 5, "CST": 6, "MDT": 6, "MST": 7, "PDT": 7, "PST": 8,
}  # fmt: skip
_CLOCK = r"""
    (?P<hour>\d{1,2})(?:(?P<mark>[:.])(?P<minute>\d\d)(?:(?P=mark)(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?
    (?:\s*(?P<half>[ap])\.?\s?m\b\.?)?"""
_ZONE = rf"""
    (?:\s*(?:(?P<zone>{"|".join(_HOURS_BEHIND)})\b(?!\s*[+-])|
    (?:GMT|UTC|UT)?\s?(?P<offset>[+-](?:\d{{4}}|\d\d?(?::\d\d)?))
    (?:(?!\W*[ap]\.?\s?m\b)(?:\s*\([^()]*\)|\s*\[[a-z][\w/+-]*\]|\s+(?-i:[A-Z]{{1,5}})))?))?"""
_WEEKDAY = r"(?:(?P<weekday>[a-z]{3,9})\.?,?\s+)?"
_NAMED = r"(?P<name>[a-z]{3,9})\.?"
_REST = rf"(?:(?:,?\s+(?:at\s+)?|[T:]){_CLOCK}{_ZONE})?"
_US_DATE = r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}|\d\d)"


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | re.IGNORECASE | re.VERBOSE)


_FORMS = tuple(
    _form(pattern)
    for pattern in (
        rf"(?P<year>\d{{4}})(?P<dash>[-/.])(?P<month>\d{{1,2}})(?P=dash)(?P<day>\d{{1,2}}){_REST}",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?P<dash>[-/]|\s+){_NAMED},?(?:(?P=dash)|\s+)(?P<year>\d{{4}}|\d\d){_REST}",
        rf"{_WEEKDAY}{_NAMED}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}}){_REST}",
        rf"{_WEEKDAY}{_NAMED}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}{_ZONE}\s+(?P<year>\d{{4}})",  # C's asctime
    )
)
_US_FORMS = (_form(f"{_US_DATE}{_REST}"), *_FORMS)


def read_time(value: Any, zone: tzinfo = UTC, *, us_dates: bool = False) -> int | None:
    """Return a time as microseconds since 1970 UTC; None where it cannot be read, or is of no year from 1970 to 9999.

    Args:
        value: time as the log has it: text, a number, or a datetime from Parquet.
        zone: time zone of naive times.
        us_dates: whether 11/10/2026 is November 10; where nobody says so, it is no time.
    """
    if isinstance(value, str):
        return _read_text(value.strip(), zone, _US_FORMS if us_dates else _FORMS)
    if isinstance(value, date):
        naive = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001
        return _micros(naive, zone)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _read_number(value, zone)
    return None


def _read_text(text: str, zone: tzinfo, forms: tuple[re.Pattern[str], ...]) -> int | None:
    if _ISO_DAY.fullmatch(text):  # by far the most common
        try:
            return _micros(datetime.fromisoformat(text), zone)
        except ValueError:
            pass
    compact = _COMPACT_TEXT.fullmatch(text)
    if compact:
        text = "T".join(filter(None, compact.groups()))
    elif _NUMBER.fullmatch(text):
        return _read_number(Decimal(text), zone)
    try:
        if _ISO_OTHER.fullmatch(text):
            return _micros(datetime.fromisoformat(text), zone)
        words = " ".join(text.split()) if len(text) <= _LONGEST else ""  # spaces may be those that do not break
        found = next(filter(None, (form.fullmatch(words) for form in forms)), None)
        return _micros(_moment_of(found.groupdict()), zone) if found else None
    except (ValueError, OverflowError):
        return None


def _moment_of(parts: dict[str, str | None]) -> datetime:
    """Return the moment that a text in one of the forms states.

    Raises:
        ValueError: there is no such moment.
        OverflowError: it is beyond the year 9999.
    """
    year, day = int(parts["year"] or 0), int(parts["day"] or 0)
    if len(parts["year"] or "") == len("26"):
        year += 2000 if year < 69 else 1900  # as RFC 2822 and POSIX have it
    name = parts.get("name")
    month = _number_of(name, _MONTHS) + 1 if name else int(parts["month"] or 0)
    midnight = datetime(year, month, day)  # noqa: DTZ001 - the zone is applied next
    weekday = parts.get("weekday")
    if weekday and _number_of(weekday, _WEEKDAYS) != midnight.weekday():
        raise ValueError
    moment = midnight + _since_midnight(parts) if parts["hour"] else midnight
    behind = _HOURS_BEHIND.get((parts["zone"] or "").upper())
    if parts["offset"]:
        return moment.replace(tzinfo=timezone(_offset_of(parts["offset"])))
    return moment if behind is None else moment.replace(tzinfo=timezone(timedelta(hours=-behind)))


def _number_of(name: str, names: tuple[str, ...]) -> int:
    """Return the place of the name that a name is short for."""
    return next((number for number, long in enumerate(names) if long.startswith(name.lower())), -1)


def _since_midnight(parts: dict[str, str | None]) -> timedelta:
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    micros = int((parts["fraction"] or "").ljust(6, "0")[:6])
    half = (parts["half"] or "").lower()
    if parts["minute"] is None and not half:
        raise ValueError
    if half:
        hour = _of_24_hours(hour, half)
    ends_day = hour == 24 and not (half or minute or second or micros)
    leaps = second == 60 and minute == 59
    if not ((hour < 24 or ends_day) and minute < 60 and (second < 60 or leaps)):
        raise ValueError
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micros)


def _of_24_hours(hour: int, half: str) -> int:
    """Return an hour of the day's first or second half; 15 PM and 0 AM say the same twice, 15 AM and 0 PM do not."""
    noon = 12
    if half == "a" and hour <= noon:
        return hour % noon
    if half == "p" and hour:
        return hour if hour >= noon else hour + noon
    raise ValueError


def _offset_of(text: str) -> timedelta:
    hours, _, minutes = text[1:].partition(":") if ":" in text else (text[1:3], "", text[3:] or "0")
    if int(minutes) >= 60:
        raise ValueError
    span = timedelta(hours=int(hours), minutes=int(minutes))
    return -span if text[0] == "-" else span


def _micros(moment: datetime, zone: tzinfo) -> int | None:
    try:
        if moment.tzinfo is not None:
            since = moment - EPOCH
        else:
            since = moment - _NAIVE_EPOCH if zone is UTC else moment.replace(tzinfo=zone) - EPOCH
    except OverflowError:
        return None
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return micros if 0 < micros < LATEST else None


def _read_number(number: float | Decimal, zone: tzinfo) -> int | None:
    """Read a compact date, or an epoch whose unit its size tells; smaller numbers are no times, such as a year."""
    if (isinstance(number, Decimal) and number.is_nan()) or not 0 < number < _MAX_NANOSECONDS:  # false for NaN as well
        return None
    if any(low <= number < high for low, high in _COMPACT):
        return _read_text(str(int(number)), zone, ()) if number == int(number) else None
    if number < FIRST_EPOCH:
        return None
    for bound, micros in _EPOCH_UNITS:
        if number < bound:
            return round(number * micros)
    return int(number) // 1000
