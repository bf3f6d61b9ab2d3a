"""The tools on offer, which of them is asked for, and the form the answer must have, from any provider's body."""

from __future__ import annotations

from typing import Any

from callcost.tokens.requests.json_values import dict_of, first_of, list_of, parse_json, text_of
from callcost.tokens.requests.key_order import as_sent
from callcost.tokens.requests.types import Form, Tool

Body = dict[str, Any]


def read_tools(body: Body) -> list[Tool]:
    """Return the tools that a request body offers, in order.

    Args:
        body: a body of any provider (OpenAI's ``functions`` and Bedrock's ``toolConfig`` too).
    """
    config = dict_of(body.get("toolConfig"))
    given = body.get("tools") or body.get("functions") or config.get("tools")
    items = [given] if isinstance(given, dict) else list_of(given)
    return [tool for item in items if isinstance(item, dict) for tool in _tools_of(as_sent(item))]


def _tools_of(item: Body) -> list[Tool]:
    declared = item.get("functionDeclarations") or item.get("function_declarations")
    if declared is not None:
        return [_tool(dict_of(one), "function") for one in list_of(declared)]
    # OpenAI's Responses API takes the name beside it, and reads nothing of a nested function.
    inner = item if "name" in item else _inner(item, "function", "custom", "toolSpec")
    kind = text_of(item.get("type")) or "function"
    if "name" not in inner and kind == "function":
        kind = next(iter(item), "function")  # Gemini: {"googleSearch": {}}
    given = inner if inner is item.get("function") else None
    return [_tool(inner, "function" if _schema_of(inner) is not None else kind, given)]


def _tool(item: Body, kind: str, given: Body | None = None) -> Tool:
    if "parametersJsonSchema" in item or "parameters_json_schema" in item:
        kind = "json_schema"
    returns = first_of(item, "response", "responseJsonSchema", "response_json_schema")
    return Tool(text_of(item.get("name")), text_of(item.get("description")), _schema_of(item), kind, given, returns)


def _schema_of(item: Body) -> Any:
    schema = next((item[key] for key in SCHEMA_KEYS if item.get(key) is not None), None)
    return schema["json"] if isinstance(schema, dict) and set(schema) == {"json"} else schema


def _inner(item: Body, *keys: str) -> Body:
    """Return the object under the first of some keys that holds one, or the item itself."""
    return next((item[key] for key in keys if isinstance(item.get(key), dict)), item)


SCHEMA_KEYS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema")


def read_tool_choice(body: Body) -> tuple[str, str]:
    """Return which tool the model must call: (auto | none | required | named | "", the tool's name).

    Args:
        body: a body of any provider.
    """
    config = dict_of(first_of(body, "toolConfig", "tool_config"))
    calling = dict_of(first_of(config, "functionCallingConfig", "function_calling_config"))
    if calling:
        return CHOICES.get(text_of(calling.get("mode")).lower(), ""), ""
    given = body.get("tool_choice") or body.get("function_call") or config.get("toolChoice")
    if isinstance(given, str):
        return CHOICES.get(given, ""), ""
    choice = dict_of(given)
    name = text_of(_inner(choice, "function", "custom", "tool").get("name"))
    if name:
        return "named", name
    kind = text_of(choice.get("type")) or next(iter(choice), "")
    return CHOICES.get(text_of(choice.get("mode")) or kind, ""), ""


CHOICES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def read_form(body: Body) -> Form | None:
    """Return the form that the answer must have, or None where any text will do.

    Args:
        body: a body of any provider.
    """
    config = dict_of(first_of(body, "generationConfig", "generation_config"))
    for key in ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"):
        if isinstance(config.get(key), dict):
            return Form(schema=config[key])
    of_bedrock = dict_of(dict_of(body.get("outputConfig")).get("textFormat")).get("structure")
    if named := dict_of(dict_of(of_bedrock).get("jsonSchema")):
        schema = parse_json(text_of(named.get("schema")))
        return Form(text_of(named.get("name")), text_of(named.get("description")), schema)
    text, output = (dict_of(body.get(key)).get("format") for key in ("text", "output_config"))
    given = body.get("response_format") or text or body.get("output_format") or output or body.get("format")
    if given == "json":
        return Form()
    form = dict_of(given)
    inner = dict_of(form.get("json_schema")) or form
    schema = inner.get("schema") if "type" in form else form or None
    if isinstance(schema, dict):
        return Form(text_of(inner.get("name")), text_of(inner.get("description")), schema)
    return Form() if form.get("type") == "json_object" else None
