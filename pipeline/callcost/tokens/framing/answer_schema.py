"""The form of an answer as OpenAI writes it into the prompt: a heading, a comment, the schema minified.

``required``, ``additionalProperties``, ``$schema``, ``minimum`` and ``maximum`` leave no trace, nor does the format of
a number; every other key stays where the request has it (read off recorded prompt counts). What framing the block costs
is openai_layouts.py's.
"""

from __future__ import annotations

from typing import Any

from callcost.tokens.framing.tool_schemas import comment
from callcost.tokens.requests.json_values import compact_json, text_of
from callcost.tokens.requests.types import Form

HIDDEN_KEYS = frozenset({"required", "additionalProperties", "$schema", "minimum", "maximum"})
KEYS_OF_NAMES = frozenset({"properties", "$defs", "definitions", "patternProperties"})  # their keys are names


def write_form(form: Form) -> str:
    """Return the block that stands for a JSON schema."""
    schema = compact_json(prune_schema(form.schema))
    return "\n".join([f"# Response Formats\n\n## {form.name}\n", *comment(form.description), schema])


def is_number(schema: dict[str, Any]) -> bool:
    """Tell whether a schema is one of a number, or of a number among others."""
    kinds = schema.get("type")
    return bool({"number", "integer"} & set(map(text_of, kinds if isinstance(kinds, list) else [kinds])))


def prune_schema(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without the keys that the prompt does not repeat.

    Args:
        schema: any JSON value.
        names: the value's keys are names of properties, so none of them is a word of the schema language.
    """
    if isinstance(schema, dict):
        hidden = HIDDEN_KEYS | {"format"} if is_number(schema) else HIDDEN_KEYS
        kept = {key: value for key, value in schema.items() if names or key not in hidden}
        return {key: prune_schema(value, names=key in KEYS_OF_NAMES and not names) for key, value in kept.items()}
    if isinstance(schema, list):
        return [prune_schema(value) for value in schema]
    return schema
