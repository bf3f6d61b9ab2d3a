"""Foreign JSON values: read without trust, cut off where they nest too deep, written as providers write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 60  # JSON nested deeper than this is cut off; schemas in the wild stay below 20


def text_of(value: Any) -> str:
    """Return a string as it is, anything else as "" (a field of another kind holds no text)."""
    return value if isinstance(value, str) else ""


def dict_of(value: Any) -> dict[str, Any]:
    """Return an object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """Return an array as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []


def compact_json(value: Any) -> str:
    """Return a JSON value minified, as most providers write it into a prompt."""
    return _dump(value, (",", ":"), ascii_only=False)


def spaced_json(value: Any, *, ascii_only: bool = False) -> str:
    """Return a JSON value as Python's json writes it, with blanks after commas and colons.

    Args:
        value: any JSON value that was read here, so no deeper than ``MAX_DEPTH``.
        ascii_only: other characters become escapes.
    """
    return _dump(value, (", ", ": "), ascii_only=ascii_only)


def indented_json(value: Any) -> str:
    """Return a JSON value over several lines, with four blanks for each level."""
    return _dump(value, (",", ": "), indent=4)


def _dump(value: Any, separators: tuple[str, str], *, ascii_only: bool = False, indent: int | None = None) -> str:
    try:
        return json.dumps(value, ensure_ascii=ascii_only, separators=separators, default=str, indent=indent)
    except (TypeError, ValueError):  # an integer of more digits than Python writes, a key that is no text
        return ""


def first_of(body: dict[str, Any], *keys: str) -> Any:
    """Return the first of some fields that is there and not empty, or None."""
    return next((body[key] for key in keys if body.get(key)), None)


def limit_depth(value: Any) -> Any:
    """Return the value itself if it is no deeper than ``MAX_DEPTH``, else a copy cut off there."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node) if isinstance(child, (dict, list))]
        if not level:
            return value
    return _cut_below(value, MAX_DEPTH)


def _children(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else list_of(node)


def _cut_below(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return {key: _cut_below(child, depth - 1) for key, child in value.items()} if depth else {}
    if isinstance(value, list):
        return [_cut_below(child, depth - 1) for child in value] if depth else []
    return value


def parse_json(text: str) -> Any:
    """Return the JSON value that a text holds, no deeper than ``MAX_DEPTH``, or None."""
    try:
        return limit_depth(json.loads(text))
    except (ValueError, RecursionError):
        return None
