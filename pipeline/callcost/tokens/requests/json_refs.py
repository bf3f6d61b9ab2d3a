"""References inside a JSON schema, written out: providers show a model what a reference points to."""

from __future__ import annotations

from typing import Any

from callcost.tokens.requests.json_values import MAX_DEPTH, dict_of

MAX_REFERENCES = 6  # a schema that refers to itself is written out this far
MAX_WRITTEN = 500_000  # characters, about: beyond them no more references are followed
MIN_WRITTEN = 20  # characters that any node takes at least


def follow(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with the reference at its top replaced by what it refers to; its own keys win.

    Args:
        schema: any JSON value; what is no object is an empty schema.
        root: the schema that references point into.
    """
    found = dict_of(schema)
    for _ in range(MAX_REFERENCES):
        path = found.get("$ref")
        if not isinstance(path, str):
            return found
        target: Any = root
        for step in path.lstrip("#/").split("/") if path != "#" else ():
            target = dict_of(target).get(step)
        found = {**dict_of(target), **{key: value for key, value in found.items() if key != "$ref"}}
    return found


def resolve(schema: Any) -> Any:
    """Return a schema with every reference replaced, as far as ``MAX_REFERENCES`` levels of them.

    Args:
        schema: the schema of a tool's parameters, or None.
    """
    root = dict_of(schema)
    return _Resolver(root).expand(root, 0, 0) if root else schema


class _Resolver:
    """Writes references out; counts what it wrote, so that references that double do not run away."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.written = 0

    def expand(self, value: Any, depth: int, references: int) -> Any:
        """Return a value with its references replaced."""
        self.written += len(value) if isinstance(value, str) else MIN_WRITTEN
        if depth > MAX_DEPTH:
            return None
        if isinstance(value, dict):
            refers = isinstance(value.get("$ref"), str)
            if refers and (references >= MAX_REFERENCES or self.written > MAX_WRITTEN):
                return {}
            found = follow(value, self.root) if refers else value
            return {key: self.expand(child, depth + 1, references + refers) for key, child in found.items()}
        if isinstance(value, list):
            return [self.expand(child, depth + 1, references) for child in value]
        return value
