"""Qwen's templates: those of Qwen 2.5 and 3, of the one that always reasons, of Qwen 3.5 and of the coders.

Sources: chat_template of Qwen/Qwen3-32B, Qwen/Qwen3-235B-A22B-Thinking-2507, Qwen/Qwen3-Coder-480B-A35B-Instruct and
Qwen/Qwen3.5-35B-A3B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callcost.tokens.frame import SPECIAL
from callcost.tokens.framing.templates.parts import (
    CallWriter,
    arguments_of,
    function_of,
    last_question,
    plain,
    result_runs,
    spoken,
    thoughts_of,
)
from callcost.tokens.requests.json_values import dict_of, spaced_json
from callcost.tokens.requests.types import CALL, Block, Prompt, Tool

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
_QWEN_CODER = "You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks."


def _wrapped(tools: Sequence[Tool]) -> str:
    return "".join("\n" + spaced_json({"type": "function", "function": function_of(tool)}) for tool in tools)


def write_qwen_call(block: Block) -> str:
    """Return a call as Qwen 2.5 and 3 write it."""
    return f'{SPECIAL}\n{{"name": "{block.name}", "arguments": {arguments_of(block)}}}\n{SPECIAL}'


def write_qwen_xml_call(block: Block) -> str:
    """Return a call as Qwen 3.5 and the coders write it."""
    keys = dict_of(block.value).items()
    pairs = "".join(f"<parameter={key}>\n{plain(value)}\n</parameter>\n" for key, value in keys)
    return f"{SPECIAL}\n<function={block.name}>\n{pairs}</function>\n{SPECIAL}"


def _write_qwen(
    prompt: Prompt,
    tools: str,
    write_call: CallWriter,
    *,
    open_thoughts: bool = False,
    system_last: bool = False,
    default: str = "",
    begun: bool = False,
    results_end: str = "",
) -> str:
    """Write a prompt of Qwen: the tools beside the system text, calls in the assistant's, results in the user's."""
    start, end = f"{SPECIAL}{{}}\n", f"{SPECIAL}\n"
    messages = prompt.messages
    system = spoken(messages[0]) if messages and messages[0].speaker == "system" else default
    pieces = [tools, system] if system_last else [system, tools]
    head = "\n\n".join(piece for piece in pieces if piece)
    found = [start.format("system") + head + end] if head else []
    last = last_question(prompt)
    for place, message, results in result_runs(prompt, f"{SPECIAL}user", results_end + end):
        if results:
            found.append(results)
        elif message.speaker == "assistant":
            thoughts = thoughts_of(message)
            shown = place > last and (open_thoughts or thoughts)
            text = f"{SPECIAL}\n{thoughts}\n{SPECIAL}\n\n" if shown else ""
            calls = [write_call(call) for call in message.blocks if call.kind == CALL]
            content = spoken(message)
            first = content + ("\n\n" if open_thoughts else "\n") if content and calls else content
            found.append(start.format("assistant") + text + first + "\n".join(calls) + end)
        elif place or message.speaker != "system":
            found.append(start.format(message.role) + spoken(message) + end)
    return "".join([*found, start.format("assistant"), f"{SPECIAL}\n" if open_thoughts or begun else ""])


def _offer(block: str, tools: str) -> str:
    return block.format(tools=tools, s=SPECIAL) if tools else ""


def write_qwen(prompt: Prompt) -> str:
    """Write a prompt as Qwen 3 is shown it."""
    return _write_qwen(prompt, _offer(_QWEN, _wrapped(prompt.tools)), write_qwen_call)


def write_qwen_thinking(prompt: Prompt) -> str:
    """Write a prompt as the Qwen 3 that always reasons is shown it, with the reasoning of the answer begun."""
    return _write_qwen(prompt, _offer(_QWEN, _wrapped(prompt.tools)), write_qwen_call, begun=True)


def write_qwen_3_5(prompt: Prompt) -> str:
    """Write a prompt as Qwen 3.5 is shown it, with the reasoning of the answer begun."""
    tools = _offer(_QWEN_3_5, _wrapped(prompt.tools))
    return _write_qwen(prompt, tools, write_qwen_xml_call, open_thoughts=True, system_last=True)


def write_qwen_coder(prompt: Prompt) -> str:
    """Write a prompt as Qwen 3 Coder is shown it: tools as XML, and a system text of its own where there is none."""
    tools = _offer(_QWEN_3_5.removeprefix("# Tools\n\n"), "".join(_xml_tool(tool) for tool in prompt.tools))
    return _write_qwen(prompt, tools, write_qwen_xml_call, default=_QWEN_CODER if tools else "", results_end="\n")


def _xml_tool(tool: Tool) -> str:
    schema = dict_of(tool.parameters)
    found = [f"<function>\n<name>{tool.name}</name>"]
    found += [f"<description>{tool.description.strip()}</description>"] if tool.description else []
    found.append("<parameters>")
    for name, given in dict_of(schema.get("properties")).items():
        inner = dict_of(given)
        found.append(f"<parameter>\n<name>{name}</name>")
        keys = [key for key in ("type", "description") if inner.get(key)]
        keys += [key for key in inner if key not in {"name", "type", "description"}]
        found += [*(f"<{key}>{_xml_value(inner[key])}</{key}>" for key in keys), "</parameter>"]
    found += [f"<required>{_xml_value(schema['required'])}</required>"] if "required" in schema else []
    return "\n" + "\n".join([*found, "</parameters>\n</function>"])


def _xml_value(value: Any) -> str:
    """Return a value as Jinja's template writes it: lists and objects as JSON, others as Python writes them."""
    if isinstance(value, str):
        return value.strip()
    text = spaced_json(value)
    return {"true": "True", "false": "False", "null": "None"}.get(text, text)
