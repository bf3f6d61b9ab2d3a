"""Single values as logs write them: names and ids, tags, money. Times are in times.py, counts in usage.py."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from callcost.logs.values.json import Refusal, canonical, decode_text

MAX_DIGITS = 10  # before the point: more than any call costs, and ten billion of them fit into Decimal(38, 18)
_LARGE = 1 << 16  # bytes; most likely an envelope's, which many records share
MAX_PLACES = 60  # after the point: less than that is nothing
_NUMBER = r"(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_TAG = re.compile(r"[:=]")
_RATE = re.compile(_NUMBER, re.ASCII)
_RATE_TABLES = frozenset(("tiered_pricing", "off_peak_pricing", "provider_specific_entry"))
_RATE_WORDS = ("litellm_provider", "mode")  # they say how an entry is read
_LONGEST_WORD = 64


def read_text(value: Any) -> str | None:
    """Return a name or an id; None for nothing, and for what cannot be one."""
    if type(value) is str:
        return value or None
    if value is None or isinstance(value, bool | dict | list | bytes):
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)


def read_tags(value: Any) -> dict[str, str] | None:
    """Return tags, sorted by key; None where there are none.

    Args:
        value: a mapping; a list of "k:v", "k=v" and bare items; either as JSON text; or one item.
    """
    value = decode_text(value)
    if type(value) is str:
        value = [value]
    found: dict[str, set[str]] = {}
    for key, text in _tag_pairs(value):
        if key and text is not None:
            found.setdefault(key, set()).add(text)
    return {key: "|".join(sorted(found[key])) for key in sorted(found)} or None


def read_cost(value: Any, data: bytes = b"", keys: Iterable[str] = ()) -> Decimal | None:
    """Return an amount exactly as it is written; None for nothing.

    Args:
        value: amount as decoded; a float has lost digits beyond its seventeenth.
        data: the bytes it was decoded from, where the written number is looked up; b"": none.
        keys: names that the field may have in these bytes.

    Raises:
        Refusal: ``bad_cost``.
    """
    if value is None or value == "" or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        raise Refusal("bad_cost", "true or false")
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - the NaN of a table's empty cell
            return None
        value = _written(value, data, keys)
    try:
        cost = Decimal(value.strip() if type(value) is str else value)
    except (InvalidOperation, ValueError, TypeError):
        raise Refusal("bad_cost", "not a number") from None
    if not cost.is_finite() or (cost and cost.adjusted() >= MAX_DIGITS):
        raise Refusal("bad_cost", "out of range")
    return cost if not cost or cost.adjusted() > -MAX_PLACES else Decimal(0)


def read_rates(value: Any) -> str | None:
    """Return what a cost map's entry charges, as JSON in one spelling; None where that is nothing.

    Args:
        value: an entry, or its JSON as text; what is no rate in it is left out, and so is every text.
    """
    value = decode_text(value)
    if type(value) is not dict:
        return None
    stated = ((key, item) for key, item in value.items() if item is not None and _is_rate_field(key))
    rates = _numbers_of(dict(stated))
    words = {key: value[key] for key in _RATE_WORDS if type(value.get(key)) is str and len(value[key]) < _LONGEST_WORD}
    return canonical(rates | words).decode() if rates else None


def _is_rate_field(key: str) -> bool:
    return "cost" in key or "multiplier" in key or key in _RATE_TABLES


def _numbers_of(value: Any) -> Any:
    """Return a value without all that is no number; None where nothing is left."""
    kind = type(value)
    if kind is float or kind is int or kind is Decimal:
        return value
    if kind is dict:
        return {key: left for key, item in value.items() if (left := _numbers_of(item)) is not None} or None
    if kind is list:
        return [left for item in value if (left := _numbers_of(item)) is not None] or None
    return value if kind is str and _RATE.fullmatch(value) else None


def _written(value: float, data: bytes, keys: Iterable[str]) -> str:
    """Return the text of a number in the record's bytes, told from its namesakes by its value."""
    if len(data) > _LARGE:
        return _amounts_in(data, tuple(keys)).get(value) or repr(value)
    for key in keys if data else ():
        for found in _amount_pattern(key).finditer(data):
            text = found[1].decode()
            if float(text) == value:
                return text
    return repr(value)


@lru_cache(maxsize=4)
def _amounts_in(data: bytes, keys: tuple[str, ...]) -> dict[float, str]:
    """Return number -> how it is written first, of every field of these names."""
    texts = (found[1].decode() for key in keys for found in _amount_pattern(key).finditer(data))
    amounts: dict[float, str] = {}
    for text in texts:
        amounts.setdefault(float(text), text)
    return amounts


@lru_cache(maxsize=256)
def _amount_pattern(key: str) -> re.Pattern[bytes]:
    return re.compile(rb'"%s\\?"\s*:\s*\\?"?%s' % (re.escape(key.encode()), _NUMBER.encode()))


def _tag_pairs(value: Any) -> list[tuple[str, str | None]]:
    if type(value) is dict:
        return [(key, text) for key, item in value.items() for text in _tag_texts(item)]
    pairs: list[tuple[str, str | None]] = []
    for item in value if isinstance(value, list | tuple) else ():
        if type(item) is dict and item.keys() == {"key", "value"}:
            pairs.append((str(item["key"]), read_text(item["value"])))
        elif isinstance(item, list | tuple) and len(item) == 2:  # Parquet's maps
            pairs.append((str(item[0]), read_text(item[1])))
        elif type(item) is str:
            key, *rest = _TAG.split(item, maxsplit=1)
            pairs.append((key.strip(), rest[0].strip() if rest else "true"))
    return pairs


def _tag_texts(item: Any) -> list[str | None]:
    items = item if type(item) is list else [item]
    return [("true" if one else "false") if isinstance(one, bool) else read_text(one) for one in items]
