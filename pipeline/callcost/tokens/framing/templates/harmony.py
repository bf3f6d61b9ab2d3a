"""The format that gpt-oss is shown its prompts in: a system message of its own, tools as TypeScript, channels.

Source: github.com/openai/harmony (docs/format.md, src/encoding.rs). Hosts differ in the system text of a request, which
most write as the developer's instructions. The date in the system message has as many tokens on any day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from callcost.tokens.frame import SPECIAL
from callcost.tokens.requests.json_refs import MAX_REFERENCES
from callcost.tokens.requests.json_values import compact_json, dict_of, list_of, text_of
from callcost.tokens.requests.types import CALL, RESULT, TEXT, Message, Prompt, Tool

_SYSTEM = """You are ChatGPT, a large language model trained by OpenAI.
Knowledge cutoff: 2024-06
Current date: 2025-01-01

Reasoning: medium

# Valid channels: analysis, commentary, final. Channel must be included for every message."""
_THOUGHTS = re.compile(r"<think>.*?</think>\s*", re.DOTALL)
_CALLS = "\nCalls to these tools must go to the commentary channel: 'functions'."


def write_harmony(prompt: Prompt, *, instructs: bool = True, always_instructs: bool = False) -> str:
    """Write a prompt as gpt-oss is shown it; the reasoning of earlier turns is left out.

    Args:
        prompt: the conversation.
        instructs: the host writes a system text as the developer's instructions, else as a message.
        always_instructs: the host writes a developer's message even where it is empty.
    """
    found = [_message("system", _SYSTEM + _CALLS * bool(prompt.tools))]
    parts = []
    messages = prompt.messages
    if instructs:
        systems = [_text(message) for message in messages if message.speaker == "system"]
        messages = [message for message in messages if message.speaker != "system"]
        parts += ["# Instructions", *systems] if systems else []
    if prompt.tools:
        parts.append(f"# Tools\n\n{write_namespace(prompt.tools)}")
    if parts or always_instructs:
        found.append(_message("developer", "\n\n".join(parts)))
    for message in messages:
        found += _turn(message)
    return "".join([*found, f"{SPECIAL}assistant"])


def _message(header: str, text: str) -> str:
    return f"{SPECIAL}{header}{SPECIAL}{text}{SPECIAL}"


def _text(message: Message) -> str:
    text = "".join(block.text for block in message.blocks if block.kind == TEXT)
    return _THOUGHTS.sub("", text) if message.speaker == "assistant" else text


def _turn(message: Message) -> list[str]:
    """Return a message of the conversation; calls and results are messages of their own."""
    found = []
    text = _text(message)
    for block in message.blocks:
        if block.kind == CALL:
            header = f"assistant to=functions.{block.name}{SPECIAL}commentary json"
            found.append(_message(header, block.text))
        elif block.kind == RESULT:
            header = f"functions.{block.name} to=assistant{SPECIAL}commentary"
            found.append(_message(header, block.text))
    if text or not found:
        header = f"assistant{SPECIAL}final" if message.speaker == "assistant" else message.speaker
        found.insert(0, _message(header, text))
    return found


def write_namespace(tools: Sequence[Tool]) -> str:
    """Return the block that stands for the tools on offer."""
    rows = ["## functions\n", "namespace functions {\n"]
    for tool in tools:
        rows += [f"// {line}" for line in tool.description.splitlines()]
        typed = isinstance(tool.parameters, dict)
        rows.append(f"type {tool.name} = ({f'_: {_type(tool.parameters)}' if typed else ''}) => any;\n")
    return "\n".join([*rows, "} // namespace functions"])


def _type(schema: Any, indent: str = "") -> str:
    schema = dict_of(schema)
    kind, values = schema.get("type"), schema.get("enum")
    found = _NAMES.get(text_of(kind), "any")
    if len(indent) > 4 * MAX_REFERENCES:
        found = "any"
    elif isinstance(schema.get("oneOf"), list):
        found = "".join(f"\n{indent} | {_type(branch, indent + '   ')}" for branch in schema["oneOf"])
    elif isinstance(kind, list):
        found = " | ".join(_NAMES.get(text_of(one), text_of(one)) for one in kind)
    elif kind == "object":
        found = _object(schema, indent)
    elif kind == "array":
        found = f"{_type(schema['items'], indent)}[]" if "items" in schema else "Array<any>"
    elif kind == "string" and isinstance(values, list):
        found = " | ".join(f'"{value}"' for value in values if isinstance(value, str)) or found
    return found


_NAMES = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean"}


def _object(schema: dict[str, Any], indent: str) -> str:
    required = list_of(schema.get("required"))
    rows = [f"// {schema['description']}"] if schema.get("description") else []
    rows.append("{")
    for name, given in dict_of(schema.get("properties")).items():
        inner = dict_of(given)
        rows += [f"{indent}// {inner['title']}", f"{indent}//"] if inner.get("title") else []
        rows += [f"{indent}// {inner['description']}"] if inner.get("description") else []
        kind = _type(inner, indent + "    ")
        kind += " | null" if inner.get("nullable") is True and "null" not in kind else ""
        rows.append(f"{indent}{name}{'' if name in required else '?'}: {kind},{_default(inner)}")
    return "\n".join([*rows, f"{indent}}}"])


def _default(schema: dict[str, Any]) -> str:
    """Return the comment that names a default; that of an enum stands without quotes."""
    if "default" not in schema:
        return ""
    value = schema["default"]
    bare = isinstance(value, str) and bool(schema.get("enum"))
    return f" // default: {value if bare else compact_json(value)}"
