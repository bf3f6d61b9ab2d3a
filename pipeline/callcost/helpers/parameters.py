"""What the helpers take for an argument: checked where it comes in, and named where it is wrong.

LiteLLM takes what its own code happens to survive; here a count is a whole number (also 3.0, as LiteLLM sums floats),
an amount a finite one, and none is negative. An error says what an argument is, never what is written in a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from callcost.arguments import is_utf8
from callcost.errors import ArgumentError
from callcost.logs.values.json import MAX_DEPTH
from callcost.tables import MAX_COUNT

_SHOWN = 40  # characters of a wrong number


def count(name: str, value: Any) -> int:
    """Return a count that must be given.

    Raises:
        ArgumentError: it is no whole number from 0 to MAX_COUNT.

    >>> count("prompt_tokens", 3.0)
    3
    """
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    number = _finite(value)
    if number is None or number != int(number) or not 0 <= number <= MAX_COUNT:
        raise ArgumentError(f"{name}: {_describe(value)} is no count: a whole number from 0 to {MAX_COUNT:,}")
    return int(number)


def count_if_given(name: str, value: Any) -> int | None:
    """Return a count, None where there is none; see ``count``."""
    return None if value is None else count(name, value)


def amount_if_given(name: str, value: Any) -> int | float | Decimal | None:
    """Return an amount, such as seconds, None where there is none.

    Raises:
        ArgumentError: it is no finite number from 0 to MAX_COUNT.
    """
    if value is None:
        return None
    number = value if type(value) is float else _finite(value)  # no comparison holds of NaN
    if number is None or not 0 <= number <= MAX_COUNT:
        raise ArgumentError(f"{name}: {_describe(value)} is no amount: a number from 0 to {MAX_COUNT:,}")
    return number


def text(name: str, value: Any) -> str:
    """Return a text; nothing is an empty one.

    Raises:
        ArgumentError: it is no text.
    """
    return text_if_given(name, value) or ""


def text_if_given(name: str, value: Any) -> str | None:
    """Return a text, None where there is none; see ``text``."""
    if value is not None and not isinstance(value, str):
        raise ArgumentError(f"{name}: {_describe(value)} is no text")
    return value


def check_utf8(name: str, value: Any) -> None:
    """Refuse a text at any depth, also a key, that is not UTF-8: half of a pair of UTF-16.

    A text to be counted may hold one, as logs do; what is kept, or sent to a server, may not.

    Raises:
        ArgumentError: names the argument.
    """
    for _, item in _walk(name, value):
        for each in item if isinstance(item, Mapping) else (item,):
            if isinstance(each, str) and not is_utf8(each):
                raise ArgumentError(f"{name}: a text in it is not UTF-8")


def texts(name: str, value: Any) -> list[str]:
    """Return the texts of a list.

    Raises:
        ArgumentError: it is no list, or holds what is no text.
    """
    for place, item in enumerate(held := items(name, value)):
        if not isinstance(item, str):
            raise ArgumentError(f"{name}[{place}]: {_describe(item)} is no text")
    return held


def mapping(name: str, value: Any) -> Mapping[Any, Any]:
    """Return a mapping.

    Raises:
        ArgumentError: it is none.
    """
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{name}: {_describe(value)} is no mapping")
    return value


def items(name: str, value: Any) -> list[Any]:
    """Return what a list or another collection holds; nothing is an empty one.

    Raises:
        ArgumentError: it is no list; a text or a mapping is none either.
    """
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise ArgumentError(f"{name}: {_describe(value)} is no list")
    return list(value)


def check_numbers(name: str, value: Any) -> None:
    """Refuse a number at any depth that is none, such as NaN.

    Raises:
        ArgumentError: names the place.
    """
    for place, item in _walk(name, value):
        if isinstance(item, (float, Decimal)) and _finite(item) is None:
            raise ArgumentError(f"{place}: {_describe(item)} is no count")


def check_keys(name: str, value: Any) -> None:
    """Refuse what no JSON could say: a key that is no text.

    Raises:
        ArgumentError: names the argument.
    """
    for place, item in _walk(name, value):
        if isinstance(item, Mapping) and not all(isinstance(key, str) for key in item):
            raise ArgumentError(f"{place}: a key in it is no text")


def _walk(name: str, value: Any, depth: int = MAX_DEPTH) -> Iterator[tuple[str, Any]]:
    """Yield a value and all that lies in it, each with its place.

    Raises:
        ArgumentError: it lies in itself, or deeper than a log may.
    """
    yield name, value
    if isinstance(value, (Mapping, list, tuple)) and not depth:
        raise ArgumentError(f"{name[:_SHOWN]}: lies in itself, or deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(f"{name}.{key}" if isinstance(key, str) else name, item, depth - 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _walk(name, item, depth - 1)


def _finite(value: Any) -> int | float | Decimal | None:
    """Return a finite number as Python's own, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        return None
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    return float(value) if math.isfinite(value) else None


def _describe(value: Any) -> str:
    """Return what a wrong value is: a number itself, of anything else only its type."""
    if isinstance(value, (float, Decimal)) or (isinstance(value, int) and abs(value) < 10**_SHOWN):
        return str(value)[:_SHOWN]
    return "None" if value is None else f"a value of type {type(value).__name__}"
