"""One immutable version of the cost map: foreign JSON in, entries with exact decimals out.

Knows how a map is written (numbers as floats, whole numbers or text, documentation rows among the models) and
how it is written down canonically, so that equal maps have equal digests. What the fields mean is left to
``units.py``, when a version applies to ``catalog.py``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, InvalidOperation, Overflow, Underflow
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from callcost.errors import PriceError

# A model's fields. Every amount of money and every multiplier is a Decimal, every limit an int.
Entry = Mapping[str, Any]

RATE_DIGITS = 15  # what a binary float carries for certain; further digits are noise of the map's own tools
_TRAPS = [InvalidOperation, Overflow, Underflow]
_RATE = Context(prec=RATE_DIGITS, Emin=-99, Emax=99, traps=_TRAPS)  # beyond that nothing is a price or a limit
_EXACT = Context(prec=400, Emin=-99, Emax=99, traps=_TRAPS)

# Rows of LiteLLM's map that describe the map itself.
NO_MODELS = frozenset({"sample_spec", "fallback_generalizations"})
# What a map says beside prices and limits: capabilities change weekly and price nothing.
_CAPABILITIES = ("supports_", "supported_", "metadata", "comment")
# Below these, numbers are positions on a scale, whatever the field around them is.
_SCALES = frozenset({"range", "max_results_range", "weekdays", "hours_utc", "count"})
_NUMBER_TEXT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?\s*")


class CostMap(NamedTuple):
    """A map of the caller's own.

    Attributes:
        name: what ``price_version`` says.
        entries: model name as the map spells it -> its fields.
    """

    name: str
    entries: Mapping[str, Entry]


def parse_map(text: bytes) -> dict[str, Entry]:
    """Read a whole map in LiteLLM's format.

    Args:
        text: JSON, an object of model name -> fields.

    Raises:
        PriceError: the text is not such an object.

    >>> parse_map(b'{"m": {"input_cost_per_token": "3e-7", "max_tokens": 8192.0}}')["m"]["max_tokens"]
    8192
    """
    return {model: parse_entry(raw) for model, raw in split_map(text).items()}


def split_map(text: bytes) -> dict[str, bytes]:
    """Cut a map into model name -> canonical text of its entry, without what is no model and prices nothing.

    Raises:
        PriceError: the text is not an object of objects.
    """
    try:
        content = _EXACT_DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"the cost map is not valid JSON ({error})"
        raise PriceError(message) from error
    except ArithmeticError as error:
        raise PriceError("the cost map holds a number that is no price and no limit, such as 1e999") from error
    if not isinstance(content, dict):
        raise PriceError("the cost map is not a JSON object of model names")
    return {
        model: _canonical(model, fields)
        for model, fields in content.items()
        if isinstance(fields, dict) and model not in NO_MODELS
    }


def parse_entry(raw: bytes | msgspec.Raw) -> Entry:
    """Read one model's fields from its JSON text."""
    return entry_of(_DECODER.decode(raw))


def entry_of(fields: Mapping[str, Any]) -> Entry:
    """Return a model's fields with exact decimals, from a mapping that may hold floats or numbers as text."""
    return MappingProxyType(
        {key: _settle(key, value, is_money(key)) for key, value in fields.items() if value is not None}
    )


def is_money(field: str) -> bool:
    """Say whether the numbers of a field, at any depth, are amounts or multipliers of amounts."""
    return "cost" in field or "multiplier" in field or field == "provider_specific_entry"


def map_digest(entries: Iterable[tuple[str, bytes | msgspec.Raw]]) -> str:
    """Return the sha256 of a map's canonical text: names sorted, entries as ``split_map`` writes them."""
    digest = hashlib.sha256(b"{")
    for number, (model, raw) in enumerate(sorted(entries, key=lambda item: item[0])):
        digest.update(b",\n" if number else b"\n")
        digest.update(msgspec.json.encode(model) + b":" + bytes(raw))
    digest.update(b"\n}\n")
    return digest.hexdigest()


def rate(text: str | int | float | Decimal) -> Decimal:
    """Return a rate as it was meant: exact, without float noise behind the fifteenth digit.

    >>> rate("2.0000000000000002e-07")
    Decimal('2.00000000000000E-7')
    """
    return _RATE.create_decimal(repr(float(text)) if isinstance(text, float) else text)


def _settle(key: str, value: Any, money: bool) -> Any:
    if isinstance(value, Mapping):
        return {name: _settle(name, item, is_amount_below(name, money)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_settle(key, item, is_amount_below(key, money)) for item in value]
    if not money:
        return _limit(value)
    return rate(value.strip() if isinstance(value, str) else value) if is_number(value) else value


def is_number(value: Any) -> bool:
    """Say whether a value stands for a number, as a map may write one: true is none, "3e-7" is one."""
    if isinstance(value, str):
        return _NUMBER_TEXT.fullmatch(value) is not None
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _limit(value: Any) -> Any:
    if not isinstance(value, (float, Decimal)):
        return value
    number = rate(value)
    return int(number) if number == number.to_integral_value() else number


def is_amount_below(key: str, money: bool) -> bool:
    """Say whether the numbers below a field are amounts, given whether those around it are."""
    return key not in _SCALES and (money or is_money(key))


def _canonical(model: str, fields: dict[str, Any]) -> bytes:
    """Write an entry down, and read it once, so that no later reader stumbles over it."""
    try:
        raw = _ENCODER.encode({key: value for key, value in fields.items() if is_kept(key, value)})
        parse_entry(raw)
    except (ArithmeticError, RecursionError) as error:
        message = f"the cost map's entry {model!r} holds a number that is no price and no limit"
        raise PriceError(message) from error
    return raw


def is_kept(key: str, value: Any) -> bool:
    """Say whether a field of a map is more than a capability, which prices nothing."""
    return value is not None and not key.startswith(_CAPABILITIES)


_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=rate)
_EXACT_DECODER = msgspec.json.Decoder(float_hook=lambda text: _EXACT.create_decimal(text).normalize(_EXACT))
_ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted")
