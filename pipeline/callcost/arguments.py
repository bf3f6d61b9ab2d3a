"""What a caller may give for an option, and what is kept of it: programs and the command line alike.

A reader takes (what was given, the option's name, the option's time zone) and returns what is kept, or raises a
ConfigError that names the option. What is kept is read again to the same, so that options can be replaced one by one.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from callcost.errors import ConfigError

Given_contra = TypeVar("Given_contra", contravariant=True)
Kept_co = TypeVar("Kept_co", covariant=True)


class Accepts(Generic[Given_contra, Kept_co]):
    """The type of an option that is given as one type and kept as another."""

    if TYPE_CHECKING:

        def __get__(self, options: Any, kind: Any) -> Kept_co: ...

        def __set__(self, options: Any, given: Given_contra) -> None: ...


def kept(default: Any, reader: Reader) -> Any:
    """Return a field of options.

    Type checkers take the type of what is given from ``Accepts`` only where there is a default.

    Args:
        default: what is kept where nothing is given; MISSING: something must be.
        reader: function that reads what is given.
    """
    return dataclasses.field(default=default, metadata={_READER: reader})


Place = str | os.PathLike[str]
Places = Place | Iterable[Place]
Names = str | Iterable[str]
Filters = str | Iterable[str | tuple[str, str]]
Moment = str | date | None  # a datetime is a date


class Reader(Protocol):
    """Read what was given for an option."""

    def __call__(self, value: Any, name: str, zone: str = "UTC", /) -> Any:
        """Return what is kept of it."""
        ...


STORE_SCHEMES = frozenset(("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl"))
TAG = "tag:"
_READER = "reader"  # in the metadata of a field
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DAYS_AGO = re.compile(r"([0-9]{1,6})d")
_FIRST, _COUNTED = {"timezone": 0, "as_of": 1}, {"since", "until"}  # what words as 7d count by; what they may be
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_MOMENTS = "2026-11-20, 2026-11-20T13:00, 2026-11, 7d, today, yesterday, this-month or last-month"


def settle(options: Any) -> None:
    """Read every field of a frozen options object and keep what its reader returns: the zone, ``as_of``, then others.

    Raises:
        ConfigError: what was given for a field is of a wrong type, or makes no sense; the message begins with its name.
    """
    for field in sorted(dataclasses.fields(options), key=lambda field: _FIRST.get(field.name, len(_FIRST))):
        value, zone = getattr(options, field.name), "UTC"
        zone = zone if field.name == "timezone" else getattr(options, "timezone", zone)
        if field.name in _COUNTED and isinstance(value, str):
            value = read_moment(value, field.name, zone, getattr(options, "as_of", None))
        object.__setattr__(options, field.name, field.metadata[_READER](value, field.name, zone))


# --- Words ------------------------------------------------------------------------------------------------------------


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a mistyped one, or one in the wrong case, most likely stands for."""
    import difflib  # noqa: PLC0415 - only where a word is wrong

    folded = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower(), folded, 1, 0.6)
    return folded[near[0]] if near else None


def unknown(what: str, word: str, known: Sequence[str], more: str = "") -> ConfigError:
    """Return the error for a word that nobody knows: it names the nearest one, or all.

    Args:
        what: the option, and what the word should be.
        word: as given.
        known: all words that could have been meant.
        more: what else could be given.
    """
    near = nearest(word, known)
    if near is not None:
        return ConfigError(f"{what} {word!r}; did you mean {near!r}?")
    return ConfigError(f"{what} {word!r}", hint=f"One of {', '.join(known)}{more}")


def needs_extra(what: str, extra: str) -> ConfigError:
    """Return the error for what needs a library that is not installed.

    Args:
        what: was asked for.
        extra: of this package that brings the library.
    """
    return ConfigError(f"{what} needs an extra", hint=f"pip install 'callcost[{extra}]'")


def is_utf8(text: str) -> bool:
    """Say whether a text can be written down: it holds no half of a pair, as Python has bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_text(value: Any, name: str, _zone: str = "UTC") -> str:
    """Read a word or a name."""
    if not isinstance(value, str):
        raise _wrong(name, value, "text")
    if not is_utf8(value):
        raise ConfigError(f"{name}: {value!r} is not UTF-8")
    if "\0" in value:
        raise ConfigError(f"{name}: {value!r} holds a NUL character")
    return value


def one_of(known: Sequence[str]) -> Reader:
    """Return the reader of one of several words."""

    def read(value: Any, name: str, zone: str = "UTC") -> str:
        word = read_text(value, name, zone)
        if word not in known:
            raise unknown(f"{name}: no", word, known)
        return word

    return read


def several_of(known: Sequence[str]) -> Reader:
    """Return the reader of several words of a list; they stand apart by commas where they are one text."""
    read_one = one_of(known)

    def read(value: Any, name: str, zone: str = "UTC") -> tuple[str, ...]:
        return tuple(read_one(word, name, zone) for word in _words(value, name))

    return read


def read_words(value: Any, name: str, zone: str = "UTC") -> tuple[str, ...]:
    """Read words; they stand apart by commas where they are one text."""
    return tuple(read_text(word, name, zone) for word in _words(value, name))


def columns_of(known: Sequence[str]) -> Reader:
    """Return the reader of columns to group by; they stand apart by commas where they are one text."""

    def read(value: Any, name: str, zone: str = "UTC") -> tuple[str, ...]:
        columns = tuple(_column(read_text(word, name, zone), name, known) for word in _words(value, name))
        if not columns or len(set(columns)) != len(columns):
            raise ConfigError(f"{name} names no column, or one twice: {','.join(columns)!r}")
        return columns

    return read


def filters_of(known: Sequence[str]) -> Reader:
    """Return the reader of filters: "COLUMN=GLOB" or (column, glob), one or several, or column -> glob."""

    def read_one(value: Any, name: str) -> tuple[str, str]:
        if isinstance(value, str):
            column, sign, glob = value.partition("=")
            if not sign:
                raise ConfigError(f"{name}: {value!r} is not COLUMN=VALUE")
        elif isinstance(value, tuple | list) and len(value) == 2:
            column, glob = value
        else:
            raise _wrong(name, value, "COLUMN=VALUE, or a column and a glob")
        return _column(read_text(column, name), name, known), read_text(glob, name)

    def read(value: Any, name: str, _zone: str = "UTC") -> tuple[tuple[str, str], ...]:
        pairs = tuple(value.items()) if isinstance(value, Mapping) else value
        return tuple(read_one(one, name) for one in _each(pairs, name, "filters"))

    return read


def _column(word: str, name: str, known: Sequence[str]) -> str:
    if word.startswith(TAG) and not word.removeprefix(TAG).strip():
        raise ConfigError(f"{name}: {word!r} names no tag", hint=f"Write {TAG}NAME, such as {TAG}team")
    if word not in known and not word.startswith(TAG):
        raise unknown(f"{name}: no column", word, known, f", or {TAG}NAME")
    return word


def _words(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, str):
        return (word.strip() for word in value.split(",") if word.strip())
    return _each(value, name, "names")


def _each(value: Any, name: str, what: str) -> Iterator[Any]:
    """Yield one thing or several; what has no order is refused, since the order of some options shows in the result."""
    if isinstance(value, str | os.PathLike):
        return iter((value,))
    if isinstance(value, bytes | Mapping | AbstractSet) or not isinstance(value, Iterable):
        raise _wrong(name, value, f"{what}: one, or a sequence")
    return iter(value)


def _wrong(name: str, value: Any, wanted: str) -> ConfigError:
    shown = text if len(text := repr(value)) <= 60 else f"{text[:57]}..."
    return ConfigError(f"{name}: {shown} is {type(value).__name__}, not {wanted}")


# --- Places -----------------------------------------------------------------------------------------------------------


def read_place(value: Any, name: str, _zone: str = "UTC") -> str:
    """Read the path of a file or folder, or the URL of one in an object store; "~" is the user's own folder.

    Its name is UTF-8: unlike a log's, it goes into tables and to libraries that take nothing else.
    """
    return read_text(read_log(value, name), name)


def read_log(value: Any, name: str, _zone: str = "UTC") -> str:
    """Read one of the places that logs are in; the names of files may be any bytes."""
    if not isinstance(value, str | os.PathLike):
        raise _wrong(name, value, "a path")
    place = os.fsdecode(value)
    if not place.strip():
        raise ConfigError(f"{name}: an empty path", hint='"." is the folder at hand')
    scheme = _SCHEME.match(place)
    if scheme and scheme[1].lower() not in STORE_SCHEMES:
        kind = scheme[1].lower()
        message = f"{name}: callcost reads and writes no {kind} URLs, such as {place}"
        raise ConfigError(message, hint="Download it, or pipe it in with -" if name == "logs" else "Give a path")
    if scheme:
        return read_text(place, name)
    if "\0" in place or not _is_encodable(place):
        raise ConfigError(f"{name}: {place!r} holds a NUL character, or is no name of a file")
    return os.path.expanduser(place)  # noqa: PTH111 - Path would change "a//b", "./a" and "-/"


def _is_encodable(place: str) -> bool:
    try:
        os.fsencode(place)
    except UnicodeEncodeError:  # a half of a pair that stands for no byte
        return False
    return True


def read_logs(value: Any, name: str, zone: str = "UTC") -> tuple[str, ...]:
    """Read where logs are: one place, or several."""
    return tuple(read_log(place, name, zone) for place in _each(value, name, "paths"))


# --- Times ------------------------------------------------------------------------------------------------------------


def read_zone(value: Any, name: str, _zone: str = "UTC") -> str:
    """Read the name of a time zone."""
    import zoneinfo  # noqa: PLC0415 - reads the zone's file

    zone = read_text(value, name)
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = nearest(zone, zoneinfo.available_timezones())
        message, hint = f"{name}: no time zone {zone!r}", "" if near else "Write one as Europe/Berlin"
        raise ConfigError(f"{message}; did you mean {near!r}?" if near else message, hint=hint) from None
    return zone


def read_moment(value: Any, name: str, zone: str = "UTC", now: datetime | None = None) -> datetime:
    """Read a moment: a date or time, as an object or as text, or a word for a day or a month; each is its first moment.

    Args:
        value: what has no offset of its own is in the zone.
        name: name of the option, for errors.
        zone: name of a time zone.
        now: moment that words as 7d or today count from; None: the clock's.

    Returns:
        The moment in UTC.
    """
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - see read_zone

    here = ZoneInfo(zone)
    try:
        today = (now or datetime.now(UTC)).astimezone(here).date()
        moment = _worded(value.strip(), today) if isinstance(value, str) else value
        if isinstance(moment, date) and not isinstance(moment, datetime):
            moment = datetime.combine(moment, time())
        if not isinstance(moment, datetime):
            raise _wrong(name, value, "a date or a time")
        return (moment.replace(tzinfo=here) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(f"{name}: {value!r} is not a time", hint=f"Write {_MOMENTS}") from None


def _worded(word: str, today: date) -> date:
    """Return the day or time that a word stands for."""
    month = today.replace(day=1)
    days = {
        "today": today,
        "yesterday": today - timedelta(days=1),
        "tomorrow": today + timedelta(days=1),
        "this-month": month,
        "last-month": (month - timedelta(days=1)).replace(day=1),
    }
    if word in days:
        return days[word]
    if ago := _DAYS_AGO.fullmatch(word):
        return today - timedelta(days=int(ago[1]))
    if named := _MONTH.fullmatch(word):
        return date(int(named[1]), int(named[2]), 1)
    return datetime.fromisoformat(word)


def read_version(value: Any, name: str, _zone: str = "UTC") -> str:
    """Read which prices apply: a word, the name of a version, or a date."""
    return value.isoformat() if isinstance(value, date) else read_text(value, name)


# --- Numbers and the rest ---------------------------------------------------------------------------------------------


def whole_number(least: int) -> Reader:
    """Return the reader of a whole number that is not below another."""

    def read(value: Any, name: str, _zone: str = "UTC") -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(name, value, "a whole number")
        if value < least:
            raise ConfigError(f"{name}: {value} is less than {least}")
        return value

    return read


def number(least: float, most: float = math.inf) -> Reader:
    """Return the reader of a number between two others."""

    def read(value: Any, name: str, _zone: str = "UTC") -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(name, value, "a number")
        if not (math.isfinite(value) and least <= value <= most):
            between = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
            raise ConfigError(f"{name}: {value} is not a number {between}")
        return float(value)

    return read


def read_pairs(value: Any, name: str, _zone: str = "UTC") -> tuple[tuple[str, str], ...]:
    """Read pairs of texts."""
    pairs = tuple(_each(value, name, "pairs"))
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise _wrong(name, pair, "a pair of texts")
    return tuple((read_text(first, name), read_text(second, name)) for first, second in pairs)


def instance_of(kind: type, wanted: str = "") -> Reader:
    """Return the reader of an object of a class, which errors call what is wanted, or by its name."""

    def read(value: Any, name: str, _zone: str = "UTC") -> Any:
        if not isinstance(value, kind):
            raise _wrong(name, value, wanted or kind.__name__)
        return value

    return read


read_switch = instance_of(bool, "True or False")


def or_none(reader: Reader) -> Reader:
    """Return the reader of what may be left open."""

    def read(value: Any, name: str, zone: str = "UTC") -> Any:
        return None if value is None else reader(value, name, zone)

    return read
