"""What a response says, whoever made it: a dict, LiteLLM's or a provider SDK's own class.

It is read as a report reads it in a log of pairs (logs/dialects/pair.py), beside as much of its request as is known.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

from callcost.errors import ArgumentError
from callcost.helpers.parameters import check_numbers, text_if_given
from callcost.logs.dialects.pair import DIALECTS
from callcost.logs.record.dialect import FieldReader
from callcost.logs.responses.bodies import ANY_USAGE, endpoint_named
from callcost.logs.values.json import MAX_DEPTH, Refusal
from callcost.models import provider_of
from callcost.tables import Call

_NO_TIER = frozenset({"", "auto"})
_DUMPS = ("model_dump", "to_dict", "dict")
_UNNAMED = "?"  # for a call whose model nobody names
_PAIR = FieldReader(DIALECTS[0])


def fields(name: str, value: Any) -> dict[str, Any]:
    """Return the fields of an argument, a mapping or an object, as a plain dict; {} for None.

    Raises:
        ArgumentError: it has none.
    """
    if type(value) is dict:
        return value
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    try:
        for method in _DUMPS:
            dump = getattr(value, method, None)
            if callable(dump):
                return dict(dump())
        return dict(vars(value))
    except Exception as error:  # a stranger's object may raise anything
        message = f"{name}: a value of type {type(value).__name__} is neither a mapping nor an object with fields"
        raise ArgumentError(message) from error


def field(value: Any, name: str) -> Any:
    """Return one field of a mapping or an object, None where there is none."""
    if type(value) is dict:  # nearly always, and isinstance of an abstract class takes its time
        return value.get(name)
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def first_tier(*tiers: Any) -> str | None:
    """Return the first that names a tier; "auto" leaves it to the provider."""
    return next((tier for tier in tiers if isinstance(tier, str) and tier.lower() not in _NO_TIER), None)


def endpoint_of(call_type: str | None) -> str | None:
    """Return the endpoint that LiteLLM's name of a kind of call means ("aspeech"); None: none that is known."""
    return endpoint_named(call_type) or endpoint_named((call_type or "").removeprefix("a"))


def read_body(response: Any) -> dict[str, Any]:
    """Return a response as a log would hold it.

    Raises:
        ArgumentError: it has no fields, lies in itself, or holds a number in its usage that is none.
    """
    body = fields("completion_response", response)
    for (key,) in ANY_USAGE:
        stated = body.get(key)
        if stated is not None and not isinstance(stated, (str, int, float)):
            body = {**body, key: fields(key, stated)}
            check_numbers(key, body[key])  # a log's NaN is an empty cell of its table; here nobody would hear of it
    plain: dict[str, Any] = _plain(body)
    return plain


def read_call(
    body: dict[str, Any], request: Mapping[str, Any], model: str, provider: str | None, endpoint: str | None
) -> Call:
    """Return what a response says of its call.

    Args:
        body: as ``read_body`` gives it.
        request: as much of the request's body as is known.
        model: that was asked for; "": not known.
        provider: that was asked, where the model's name does not say it.
        endpoint: of the call, where it is known.

    Raises:
        ArgumentError: it states a count that is none.
    """
    asked = {name: value for name, value in _plain(request).items() if value}
    made = endpoint if body or asked else None  # what nobody asked and nobody answered is no call of any kind
    record = {"request": asked, "response": body, "endpoint": made, "model": model or _UNNAMED}
    record["provider"] = provider_of(text_if_given("custom_llm_provider", provider), model)
    try:
        call = _PAIR.read(record)
    except Refusal as refusal:
        raise ArgumentError(f"usage: {refusal.detail} ({refusal.reason})") from refusal
    call.model = "" if call.model == _UNNAMED else call.model
    return call


def _plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a value as JSON has it; what JSON has no word for is left out."""
    if value is None or type(value) in {str, int, float, bool, Decimal}:
        return value
    if not depth:
        raise ArgumentError(f"completion_response: lies in itself, or deeper than {MAX_DEPTH} levels")
    if isinstance(value, Enum):
        return _plain(value.value, depth - 1)
    if isinstance(value, Mapping):
        return {key: _plain(item, depth - 1) for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, str):
        return str(value)
    return _plain(_dump(value), depth - 1)


def _dump(value: Any) -> dict[str, Any] | None:
    """Return the fields of an object that holds data; None for any other, such as an open connection."""
    if isinstance(value, SimpleNamespace) or dataclasses.is_dataclass(value) or any(hasattr(value, d) for d in _DUMPS):
        with contextlib.suppress(ArgumentError):
            return fields("completion_response", value)
    return None
