"""DeepSeek's template of V3.1, with tools as its hosts add them.

Sources: chat_template of deepseek-ai/DeepSeek-V3.1, and vLLM's examples/tool_chat_template_deepseekv31.jinja.
"""

from __future__ import annotations

from callcost.tokens.frame import SPECIAL
from callcost.tokens.framing.templates.parts import results_of, spoken
from callcost.tokens.requests.json_values import spaced_json
from callcost.tokens.requests.types import CALL, Prompt

_DEEPSEEK = """

## Tools
You have access to the following tools:
{tools}
IMPORTANT: ALWAYS adhere to this exact format for tool use:
{s}{s}tool_call_name{s}tool_call_arguments{s}{{{{additional_tool_calls}}}}{s}

Where:

- `tool_call_name` must be an exact match to one of the available tools
- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema
- For multiple tool calls, chain them directly without separators or spaces
"""
_DEEPSEEK_TOOL = """
### {tool.name}
Description: {tool.description}

Parameters: {schema}
"""


def write_deepseek(prompt: Prompt) -> str:
    """Write a prompt as DeepSeek V3.1 is shown it; a host adds the tools to the system text."""
    system = "\n\n".join(spoken(message) for message in prompt.messages if message.speaker == "system")
    tools = "".join(_DEEPSEEK_TOOL.format(tool=tool, schema=spaced_json(tool.parameters)) for tool in prompt.tools)
    found = [SPECIAL, system + (_DEEPSEEK.format(tools=tools, s=SPECIAL) if tools else "")]
    asked = False  # the message before is the user's
    for message in prompt.messages:
        calls = [block for block in message.blocks if block.kind == CALL]
        if results_of(message):
            found += [f"{SPECIAL}{block.text}{SPECIAL}" for block in results_of(message)]
        elif message.speaker == "assistant":
            texts = "".join(f"{SPECIAL}{call.name}{SPECIAL}{call.text}{SPECIAL}" for call in calls)
            called = f"{SPECIAL}{texts}{SPECIAL}" if calls else ""
            found.append(SPECIAL * 2 * asked + spoken(message) + called + SPECIAL)
        elif message.speaker == "user":
            found.append(f"{SPECIAL}{spoken(message)}")
        asked = message.speaker == "user" and not results_of(message)
    return "".join([*found, SPECIAL * 2 * asked])
