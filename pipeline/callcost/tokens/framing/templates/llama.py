"""Llama's templates: that of 3.1 to 3.3, and Ollama's of 3.2.

Sources: chat_template of meta-llama/Llama-3.3-70B-Instruct, and Ollama's template of llama3.2.
"""

from __future__ import annotations

from typing import Any

from callcost.tokens.frame import SPECIAL
from callcost.tokens.framing.templates.parts import arguments_of, function_of, results_of, spoken
from callcost.tokens.requests.json_values import compact_json, dict_of, indented_json, spaced_json
from callcost.tokens.requests.types import CALL, Prompt, Tool

_LLAMA_OLLAMA = """Given the following functions, please respond with a JSON for a function call with its proper \
arguments that best answers the given prompt.

Respond in the format {{"name": function name, "parameters": dictionary of argument name and its value}}. \
Do not use variables.

{tools}
"""
_LLAMA_SYSTEM = """When you receive a tool call response, use the output to format an answer to the orginal user \
question.

You are a helpful assistant with tool calling capabilities."""
_LLAMA_DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
_LLAMA_OFFER = """Given the following functions, please respond with a JSON for a function call with its proper \
arguments that best answers the given prompt.

Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.\
Do not use variables.

"""


def write_llama(prompt: Prompt) -> str:
    """Write a prompt as Llama 3.1 to 3.3 are shown it: the tools stand in the first message of the user's."""
    messages = list(prompt.messages)
    leads = bool(messages) and messages[0].speaker == "system"
    system = spoken(messages.pop(0)).strip() if leads else ""
    runs = "Environment: ipython\n" if prompt.tools else ""
    found = [SPECIAL, _llama("system", f"{runs}{_LLAMA_DATES}{system}")]
    offer = _LLAMA_OFFER + "".join(_indented(tool) for tool in prompt.tools) if prompt.tools else ""
    for message in messages:
        calls = [block for block in message.blocks if block.kind == CALL]
        if results_of(message):
            found += [_llama("ipython", spaced_json(block.text)) for block in results_of(message)]
        elif calls:
            texts = [f'{{"name": "{call.name}", "parameters": {arguments_of(call)}}}' for call in calls]
            found.append(_llama("assistant", "".join(texts)))
        else:
            first = offer if message.speaker == "user" else ""
            offer = offer if message.speaker != "user" else ""
            found.append(_llama(message.role, first + spoken(message).strip()))
    return "".join([*found, f"{SPECIAL}assistant{SPECIAL}\n\n"])


def _llama(role: str, text: str) -> str:
    return f"{SPECIAL}{role}{SPECIAL}\n\n{text}{SPECIAL}"


def _indented(tool: Tool) -> str:
    return indented_json({"type": "function", "function": function_of(tool)}) + "\n\n"


def write_llama_ollama(prompt: Prompt) -> str:
    """Write a prompt as Ollama shows it to Llama 3.2: the tools stand in the last message, if it is the user's."""
    start, end = f"{SPECIAL}{{}}{SPECIAL}\n\n", SPECIAL
    messages = [message for message in prompt.messages if message.speaker != "system"]
    system = "\n\n".join(spoken(message) for message in prompt.messages if message.speaker == "system")
    instructions = system + (_LLAMA_SYSTEM if prompt.tools else "")
    found = [SPECIAL, start.format("system"), f"Cutting Knowledge Date: December 2023\n\n{instructions}", end]
    for place, message in enumerate(messages):
        last = place + 1 == len(messages)
        calls = [block for block in message.blocks if block.kind == CALL]
        if results_of(message):
            found += [start.format("ipython") + block.text + end for block in results_of(message)]
        elif calls:
            texts = [f'\n{{"name": "{call.name}", "parameters": {compact_json(call.value)}}}' for call in calls]
            found.append(f"{SPECIAL}assistant{SPECIAL}" + "".join(texts) + ("" if last else end))
        elif message.speaker == "assistant":
            found.append(start.format("assistant") + spoken(message) + ("" if last else end))
        else:
            tools = "".join(compact_json(_go_order(tool)) + "\n" for tool in prompt.tools) if last else ""
            offer = _LLAMA_OLLAMA.format(tools=tools) if tools else ""
            found.append(start.format("user") + offer + spoken(message) + end)
    return "".join([*found, start.format("assistant")])


def _go_order(tool: Tool) -> dict[str, Any]:
    """Return a tool as Go writes Ollama's own type: only what it knows, properties by their names."""
    schema = dict_of(tool.parameters)
    properties = {}
    for name, given in sorted(dict_of(schema.get("properties")).items()):
        inner = {"description": "", **dict_of(given)}
        properties[name] = {key: inner[key] for key in ("type", "items", "description", "enum") if key in inner}
    parameters = {"type": schema.get("type"), "required": schema.get("required"), "properties": properties}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}
