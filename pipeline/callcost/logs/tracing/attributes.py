"""Attributes of spans and the like, however they are written: one flat mapping, dotted name -> value.

OTLP's lists of {key, value: {stringValue}}, mappings flat or nested, JSON as text, Parquet's maps (lists of pairs).
What an attribute means is for the dialects; numbered ones ("llm.input_messages.0.message.role") are lists.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from callcost.logs.values.json import decode_text, list_in
from callcost.tables import TRACED

_SCALARS = (
    "stringValue", "intValue", "doubleValue", "boolValue", "string_value", "int_value", "double_value", "bool_value",
)  # fmt: skip
_LISTS = ("arrayValue", "array_value")
_MAPPINGS = ("kvlistValue", "kvlist_value")


def read_attributes(value: Any) -> dict[str, Any]:
    """Return attributes by dotted name; null is left out.

    >>> read_attributes([{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "5"}}])
    {'gen_ai.usage.input_tokens': '5'}
    >>> read_attributes({"gen_ai": {"usage": {"input_tokens": 5}}})
    {'gen_ai.usage.input_tokens': 5}
    """
    return dict(_flat("", as_mapping(value)))


def as_mapping(value: Any) -> dict[str, Any]:
    """Return what is written as a mapping as one; empty where it is none."""
    value = decode_text(value)
    if type(value) is dict:
        return value
    return dict(_pairs(value)) if type(value) is list else {}


def items_below(flat: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return the mappings that numbered names make a list of, in the order of their numbers.

    >>> items_below({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Hi"}, "gen_ai.prompt")
    [{'role': 'user', 'content': 'Hi'}]
    """
    before = f"{prefix}."
    found: dict[int, dict[str, Any]] = {}
    for name, value in flat.items():
        if name.startswith(before):
            number, _, rest = name[len(before) :].partition(".")
            if number.isdecimal() and len(number) < _LONG:
                found.setdefault(int(number), {})[rest] = value
    return [found[number] for number in sorted(found)]


def span_name(own: Any, trace: Any) -> str | None:
    """Return what names a span wherever it was exported to; None where it has no id.

    >>> span_name("7q4Z58Oxxxw=", "tr-5b8efff798038103d269b633813fc60c")
    'trace eeae19e7c3b1c71c 5b8efff798038103d269b633813fc60c'
    """
    own, trace = span_id(own), span_id(trace)
    return f"{TRACED} {own} {trace}" if own and trace else None


def span_id(value: Any) -> str | None:
    """Return the id of a span or a trace as OpenTelemetry writes it; all zeros are none."""
    text = _MARK.sub("", value) if type(value) is str else ""
    if _PACKED.fullmatch(text):
        try:
            text = base64.b64decode(text).hex()
        except binascii.Error:
            return text
    return text if text.strip("0") else None


_MARK = re.compile(r"0x|tr-(?=[0-9a-f]{32}\Z)")  # MLflow's before a trace
PECULIAR_IDS = r"^0x|^0*$|^tr-|=$"  # that span_id writes otherwise
_PACKED = re.compile(r"[A-Za-z0-9+/]{11}=|[A-Za-z0-9+/]{22}==")  # bytes of an id as base64, as protobuf's JSON has them
_LONG = 7  # digits of a position that is none


def _pairs(items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for item in items:
        if type(item) is dict and "key" in item:
            yield str(item["key"]), _plain(item.get("value"))
        elif isinstance(item, list | tuple) and len(item) == 2:
            yield str(item[0]), item[1]


def _plain(value: Any) -> Any:
    """Return OTLP's AnyValue as what it holds."""
    if type(value) is not dict:
        return value
    for kind in _SCALARS:
        if kind in value:
            return value[kind]
    for kind in _LISTS:
        if type(value.get(kind)) is dict:
            return [_plain(item) for item in list_in(value[kind].get("values"))]
    for kind in _MAPPINGS:
        if type(value.get(kind)) is dict:
            return dict(_pairs(list_in(value[kind].get("values"))))
    return value


def _flat(prefix: str, mapping: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if type(value) is dict:
            yield from _flat(f"{prefix}{key}.", value)
        elif value is not None:
            yield f"{prefix}{key}", value
