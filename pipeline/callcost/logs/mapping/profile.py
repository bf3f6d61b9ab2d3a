"""What stands where in records that nobody knows yet: paths, and the shapes of what they hold. No text is kept.

Of a value only its kinds are remembered, of a number also the number, of a short text its hash, which tells how many
differ. What a path may mean is for draft.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from callcost.logs.responses.bodies import api_of, endpoint_of_request
from callcost.logs.usage.usage import read_usage, shape_of
from callcost.logs.values.json import Refusal, decode_text
from callcost.logs.values.times import read_time

MAX_DEPTH = 16  # of the objects that are looked into, and the first of lists of objects
MAX_PATHS = 2_000
_SHORT = 200  # characters of a name, an id or a tag
_TOP_KEY = re.compile(r"[^\x00-\x1f\x7f\"\\]{1,80}")
_INNER_KEY = re.compile(r"[\w.:/@$-]{1,60}")
_FIRST_EPOCH = 10**9  # seconds, in 2001: smaller numbers are no times
_WHOLE = re.compile(r"\d{1,15}(?:\.0+)?")
_ZONED = re.compile(r"(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$")


class FieldProfile(msgspec.Struct):
    """What was seen at one path.

    Attributes:
        path: keys from the record down.
        seen: records that have something here.
        kinds: kind -> records: "text" (short), "long", "count", "number", "time", "naive" (a time without a zone),
            "flag", "object", "list", and what an object or list is: "usage", "response", "request", "messages", "tags".
        texts: digests of short texts.
    """

    path: tuple[str, ...]
    seen: int = 0
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    texts: set[int] = msgspec.field(default_factory=set)

    def is_mostly(self, *kinds: str) -> bool:
        """Tell whether what stands here is nearly always of one of these kinds."""
        return max(self.kinds[kind] for kind in kinds) * 10 >= self.seen * 9 > 0


class Profile(msgspec.Struct):
    """What a sample of records looks like.

    Attributes:
        records: number of records.
        places: path -> what stands there.
        json_columns: columns that hold JSON as text.
        numbers: for each record, path -> number.
    """

    records: int = 0
    places: dict[tuple[str, ...], FieldProfile] = msgspec.field(default_factory=dict)
    json_columns: set[str] = msgspec.field(default_factory=set)
    numbers: list[dict[tuple[str, ...], Decimal]] = msgspec.field(default_factory=list)


def profile_of(records: Iterable[Mapping[str, Any]]) -> Profile:
    """Return what records look like."""
    profile = Profile()
    for record in records:
        profile.records += 1
        numbers: dict[tuple[str, ...], Decimal] = {}
        for path, value in _values_of(record, profile):
            place = profile.places.get(path)
            if place is None:
                if len(profile.places) >= MAX_PATHS:
                    continue
                place = profile.places[path] = FieldProfile(path)
            place.seen += 1
            place.kinds.update(_kinds_of(value))
            if type(value) is str and len(value) <= _SHORT:
                place.texts.add(hash(value))
            number = _number_of(value)
            if number is not None:
                numbers[path] = number
        profile.numbers.append(numbers)
    return profile


def _values_of(record: Mapping[str, Any], profile: Profile) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in record.items():
        if not _TOP_KEY.fullmatch(key):
            continue
        decoded = decode_text(value)
        if decoded is not value:
            profile.json_columns.add(key)
        yield from _below((key,), decoded)


def _below(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if value is None or (type(value) in {str, dict, list} and not value):
        return
    yield path, value
    if type(value) is dict and len(path) < MAX_DEPTH:
        for key, item in value.items():
            if _INNER_KEY.fullmatch(key):
                yield from _below((*path, key), item)
    elif type(value) is list and len(path) < MAX_DEPTH and type(value[0]) is dict and "role" not in value[0]:
        yield from _below((*path, "0"), value[0])


def _kinds_of(value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield "flag"
    elif type(value) is dict:
        yield "object"
        yield from _roles_of(value)
    elif type(value) is list:
        yield "list"
        if all(type(item) is dict and "role" in item for item in value):
            yield "messages"
        elif all(type(item) is str and len(item) <= _SHORT for item in value):
            yield "tags"
    elif type(value) is str and (len(value) > _SHORT or "\n" in value):
        yield "long"
    else:
        yield from _scalar_kinds(value)


def _roles_of(value: dict[str, Any]) -> Iterator[str]:
    """Yield what an object may be; a body of a provider is no request, whatever keys they share."""
    if api_of(value) is not None:
        yield "response"
    elif _is_usage(value):
        yield "usage"
    elif "model" in value and endpoint_of_request(value) is not None:
        yield "request"
    elif all(isinstance(item, str | int | float) for item in value.values()):
        yield "tags"


def _is_usage(value: dict[str, Any]) -> bool:
    """Tell whether an object is some provider's usage, of which nothing is passed over."""
    try:
        reading = read_usage(value)
    except Refusal:
        return shape_of(value) is not None
    return reading.usage is not None and not reading.unread


def _scalar_kinds(value: Any) -> Iterator[str]:
    text = value if type(value) is str else str(value)
    if type(value) is str:
        yield "text"
    if _WHOLE.fullmatch(text):
        yield "count"
    number = _number_of(value)
    if number is not None:
        yield "number"
    if (number is None or number > _FIRST_EPOCH) and read_time(value) is not None:
        yield "time"
        if type(value) is str and number is None and not _ZONED.search(value):
            yield "naive"


def _number_of(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal) or len(str(value)) > 40:
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
