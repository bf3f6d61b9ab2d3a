"""The chat templates that open models publish with their tokenizers, for prompts with tools, calls and results.

A template writes a prompt as one text in which ``SPECIAL`` stands for each special token. Plain chats need none of it:
turns.py knows what their framing costs. Sources: chat_template of Qwen/Qwen3-32B and Qwen/Qwen3.5-35B-A3B,
zai-org/GLM-4.5 (its host shows the function alone, without ``type``), and Ollama's template of llama3.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from callcost.tokens.frame import SPECIAL
from callcost.tokens.model_families import Choice
from callcost.tokens.requests.json_values import compact_json, dict_of, spaced_json
from callcost.tokens.requests.types import CALL, RESULT, TEXT, THOUGHT, Block, Message, Prompt, Tool

Writer = Callable[[Prompt], str]
CallWriter = Callable[[Block], str]
_ORDER = ("type", "function", "name", "description", "strict", "parameters", "properties", "required")

_QWEN = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>{tools}
</tools>

For each function call, return a json object with function name and arguments within {s}{s} XML tags:
{s}
{{"name": <function-name>, "arguments": <args-json-object>}}
{s}"""
_QWEN_3_5 = """# Tools

You have access to the following functions:

<tools>{tools}
</tools>

If you choose to call a function ONLY reply in the following format with NO suffix:

{s}
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
<parameter=example_parameter_2>
This is the value for the second parameter
that can span
multiple lines
</parameter>
</function>
{s}

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within {s}{s} XML tags
- Required parameters MUST be specified
- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after
- If there is no function call available, answer the question like normal with your current knowledge and do not tell the user about function calls
</IMPORTANT>"""  # noqa: E501 - the template's own lines
_GLM = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>{tools}
</tools>

For each function call, output the function name and arguments within the following XML format:
{s}{{function-name}}
{s}{{arg-key-1}}{s}
{s}{{arg-value-1}}{s}
{s}{{arg-key-2}}{s}
{s}{{arg-value-2}}{s}
...
{s}"""
_LLAMA_OLLAMA = """Given the following functions, please respond with a JSON for a function call with its proper \
arguments that best answers the given prompt.

Respond in the format {{"name": function name, "parameters": dictionary of argument name and its value}}. \
Do not use variables.

{tools}
"""
_LLAMA_SYSTEM = """When you receive a tool call response, use the output to format an answer to the orginal user \
question.

You are a helpful assistant with tool calling capabilities."""


def ordered(value: Any) -> Any:
    """Return a tool with the keys of its definition in the order that servers write them in; others follow."""
    if isinstance(value, dict):
        first = [key for key in _ORDER if key in value]
        return {key: ordered(value[key]) for key in dict.fromkeys([*first, *value])}
    return [ordered(inner) for inner in value] if isinstance(value, list) else value


def _function(tool: Tool) -> dict[str, Any]:
    """Return a tool's function as the request has it, or as OpenAI would write it."""
    plain = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    written: dict[str, Any] = ordered(tool.given or plain)
    return written


def _wrapped(tools: Sequence[Tool]) -> str:
    return "".join("\n" + spaced_json({"type": "function", "function": _function(tool)}) for tool in tools)


def _text(message: Message) -> str:
    return "".join(block.text for block in message.blocks if block.kind in {TEXT, RESULT})


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else spaced_json(value)


def write_qwen_call(block: Block) -> str:
    """Return a call as Qwen 2.5 and 3 write it."""
    return f'{SPECIAL}\n{{"name": "{block.name}", "arguments": {_arguments(block)}}}\n{SPECIAL}'


def _arguments(block: Block) -> str:
    return block.text if block.value is None else spaced_json(block.value)


def write_qwen_xml_call(block: Block) -> str:
    """Return a call as Qwen 3.5 and the coders write it."""
    keys = dict_of(block.value).items()
    pairs = "".join(f"<parameter={key}>\n{_plain(value)}\n</parameter>\n" for key, value in keys)
    return f"{SPECIAL}\n<function={block.name}>\n{pairs}</function>\n{SPECIAL}"


def write_glm_call(block: Block) -> str:
    """Return a call as GLM 4.5 writes it."""
    keys = dict_of(block.value).items()
    pairs = "".join(f"{SPECIAL}{key}{SPECIAL}\n{SPECIAL}{_plain(value)}{SPECIAL}\n" for key, value in keys)
    return f"{SPECIAL}{block.name}\n{pairs}{SPECIAL}"


def _last_question(prompt: Prompt) -> int:
    asked = (place for place, message in enumerate(prompt.messages) if message.role == "user" and not _results(message))
    return max(asked, default=-1)


def _results(message: Message) -> list[Block]:
    return [block for block in message.blocks if block.kind == RESULT]


def _thoughts(message: Message) -> str:
    return "".join(block.text for block in message.blocks if block.kind == THOUGHT).strip()


def _result_runs(prompt: Prompt, header: str, end: str) -> Iterator[tuple[int, Message, str]]:
    """Yield each message with its place; results that follow one another are one text."""
    pending = ""
    for place, message in enumerate(prompt.messages):
        found = _results(message)
        pending += "".join(f"\n{SPECIAL}\n{block.text}\n{SPECIAL}" for block in found)
        after = prompt.messages[place + 1] if place + 1 < len(prompt.messages) else None
        if pending and (after is None or not _results(after)):
            yield place, message, f"{header}{pending}{end}"
            pending = ""
        elif not found:
            yield place, message, ""


def _write_qwen(prompt: Prompt, block: str, write_call: CallWriter, *, open_thoughts: bool, system_last: bool) -> str:
    """Write a prompt of Qwen: the tools beside the system text, calls in the assistant's, results in the user's."""
    start, end = f"{SPECIAL}{{}}\n", f"{SPECIAL}\n"
    messages = prompt.messages
    system = _text(messages[0]) if messages and messages[0].speaker == "system" else ""
    tools = block.format(tools=_wrapped(prompt.tools), s=SPECIAL) if prompt.tools else ""
    pieces = [tools, system] if system_last else [system, tools]
    head = "\n\n".join(piece for piece in pieces if piece)
    found = [start.format("system") + head + end] if head else []
    last = _last_question(prompt)
    for place, message, results in _result_runs(prompt, f"{SPECIAL}user", end):
        if results:
            found.append(results)
        elif message.speaker == "assistant":
            thoughts = _thoughts(message)
            shown = place > last and (open_thoughts or thoughts)
            text = f"{SPECIAL}\n{thoughts}\n{SPECIAL}\n\n" if shown else ""
            calls = [write_call(call) for call in message.blocks if call.kind == CALL]
            content = _text(message)
            first = content + ("\n\n" if open_thoughts else "\n") if content and calls else content
            found.append(start.format("assistant") + text + first + "\n".join(calls) + end)
        elif place or message.speaker != "system":
            found.append(start.format(message.role) + _text(message) + end)
    return "".join([*found, start.format("assistant"), f"{SPECIAL}\n" if open_thoughts else ""])


def write_qwen(prompt: Prompt) -> str:
    """Write a prompt as Qwen 3 is shown it."""
    return _write_qwen(prompt, _QWEN, write_qwen_call, open_thoughts=False, system_last=False)


def write_qwen_3_5(prompt: Prompt) -> str:
    """Write a prompt as Qwen 3.5 is shown it, with the reasoning of the answer begun."""
    return _write_qwen(prompt, _QWEN_3_5, write_qwen_xml_call, open_thoughts=True, system_last=True)


def write_glm(prompt: Prompt) -> str:
    """Write a prompt as GLM 4.5 is shown it."""
    tools = "".join("\n" + spaced_json(_function(tool)) for tool in prompt.tools)
    found = [SPECIAL * 2, f"{SPECIAL}\n{_GLM.format(tools=tools, s=SPECIAL)}" if tools else ""]
    last = _last_question(prompt)
    for place, message, results in _result_runs(prompt, SPECIAL, ""):
        if results:
            found.append(results)
        elif message.speaker == "assistant":
            text = _text(message).strip()
            calls = "".join("\n" + write_glm_call(call) for call in message.blocks if call.kind == CALL)
            thoughts = _thoughts(message) if place > last else ""
            found.append(f"{SPECIAL}\n{SPECIAL}{thoughts}{SPECIAL}" + (f"\n{text}" if text else "") + calls)
        else:
            found.append(f"{SPECIAL}\n{_text(message)}")
    return "".join([*found, SPECIAL])


def write_llama_ollama(prompt: Prompt) -> str:
    """Write a prompt as Ollama shows it to Llama 3.2: the tools stand in the last message, if it is the user's."""
    start, end = f"{SPECIAL}{{}}{SPECIAL}\n\n", SPECIAL
    messages = [message for message in prompt.messages if message.speaker != "system"]
    system = "\n\n".join(_text(message) for message in prompt.messages if message.speaker == "system")
    instructions = system + (_LLAMA_SYSTEM if prompt.tools else "")
    found = [SPECIAL, start.format("system"), f"Cutting Knowledge Date: December 2023\n\n{instructions}", end]
    for place, message in enumerate(messages):
        last = place + 1 == len(messages)
        calls = [block for block in message.blocks if block.kind == CALL]
        if _results(message):
            found += [start.format("ipython") + block.text + end for block in _results(message)]
        elif calls:
            texts = [f'\n{{"name": "{call.name}", "parameters": {compact_json(call.value)}}}' for call in calls]
            found.append(f"{SPECIAL}assistant{SPECIAL}" + "".join(texts) + ("" if last else end))
        elif message.speaker == "assistant":
            found.append(start.format("assistant") + _text(message) + ("" if last else end))
        else:
            tools = "".join(compact_json(_go_order(tool)) + "\n" for tool in prompt.tools) if last else ""
            offer = _LLAMA_OLLAMA.format(tools=tools) if tools else ""
            found.append(start.format("user") + offer + _text(message) + end)
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


# First match wins: framing, provider ("": any), models, and who writes a prompt and a call.
TEMPLATES: tuple[tuple[str, str, str, Writer | None, CallWriter | None], ...] = (
    ("qwen", "ollama", "qwen-?2", None, write_qwen_call),
    ("qwen", "", "coder|max", None, write_qwen_xml_call),
    ("qwen", "", "", write_qwen, write_qwen_call),
    ("qwen-3.5", "", "", write_qwen_3_5, write_qwen_xml_call),
    ("glm", "", r"glm-?(4[.-][5-9]|[5-9])", write_glm, None),
    ("llama-3.1", "ollama", "", write_llama_ollama, None),
)


def writers_of(choice: Choice) -> tuple[Writer | None, CallWriter | None]:
    """Return who writes a model's prompts with tools, and its calls; None: the rows of turns.py say what they cost."""
    for framing, provider, models, prompts, calls in TEMPLATES:
        here = framing == choice.framing and provider in {"", choice.provider}
        if here and re.search(models, choice.model):
            return prompts, calls
    return None, None
