"""What a response object says beside its usage, whoever made it: a dict, LiteLLM's or a provider SDK's own class."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from callcost.errors import ArgumentError
from callcost.logs.responses.bodies import api_of

_NO_TIER = frozenset({"", "auto"})


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
        for method in ("model_dump", "to_dict", "dict"):
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


def tools_of(body: dict[str, Any]) -> Mapping[str, Decimal]:
    """Return what a response says of tools that the provider ran and bills apart."""
    api = api_of(body)
    return api.count_tools(body) if api and api.count_tools else {}


def texts_of(body: Mapping[str, Any]) -> str:
    """Return the text of an answer, "" where it has none."""
    choices = body.get("choices")
    listed = choices if isinstance(choices, (list, tuple)) else ()
    texts = [field(field(choice, "message"), "content") or field(choice, "text") for choice in listed]
    return "".join(text for text in texts if isinstance(text, str))
