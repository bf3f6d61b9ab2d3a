"""Tools as they were sent, where whoever kept the log sorted all keys.

A recorder that sorts keys loses the order of a tool's parameters, in which the prompt names them. The list of those
required is an array and keeps it; the others come after these, as they do in signatures. Checked on OpenAI's prompts of
two repositories (2026-12-01): 16 whose count moves, all of them to the stated one. Where keys around a schema are not
sorted, its sender made it so, and it stays (18 prompts of a third one).
"""

from __future__ import annotations

from typing import Any

from callcost.tokens.requests.json_values import dict_of, list_of


def as_sent(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool with its parameters in the order of those required, where all its keys were sorted; else itself.

    Args:
        tool: an item of a request's tools.
    """
    return _in_order(tool) if _is_sorted(tool) and _disagrees(tool) else tool


def _is_sorted(value: Any) -> bool:
    """Say whether the keys of a JSON value are in order, at every depth."""
    if isinstance(value, dict):
        return list(value) == sorted(map(str, value)) and all(map(_is_sorted, value.values()))
    return not isinstance(value, list) or all(map(_is_sorted, value))


def _disagrees(value: Any) -> bool:
    """Say whether some schema's required parameters are in another order than they stand in."""
    if isinstance(value, dict):
        required = _required(value)
        stand = [name for name in dict_of(value.get("properties")) if name in required]
        return stand != required or any(map(_disagrees, value.values()))
    return isinstance(value, list) and any(map(_disagrees, value))


def _in_order(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_in_order, value))
    if not isinstance(value, dict):
        return value
    laid = {key: _in_order(inner) for key, inner in value.items()}
    given = dict_of(laid.get("properties"))
    names = dict.fromkeys([*_required(value), *given])
    return laid | {"properties": {name: given[name] for name in names}} if given else laid


def _required(schema: dict[str, Any]) -> list[str]:
    """Return the names of a schema's required parameters that it has, each once, in their order."""
    given = dict_of(schema.get("properties"))
    return list(dict.fromkeys(name for name in list_of(schema.get("required")) if type(name) is str and name in given))
