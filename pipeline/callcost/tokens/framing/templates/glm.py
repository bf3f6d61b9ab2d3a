"""GLM's templates: that of 4.5, and that of 4.7 and 5.

Sources: chat_template of zai-org/GLM-4.5 (its host shows the function alone, without ``type``), of GLM-4.7-Flash, GLM-5
and GLM-5.2.
"""

from __future__ import annotations

from callcost.tokens.frame import SPECIAL
from callcost.tokens.framing.templates.parts import (
    function_of,
    last_question,
    plain,
    result_runs,
    results_of,
    spoken,
    thoughts_of,
)
from callcost.tokens.requests.json_values import dict_of, spaced_json
from callcost.tokens.requests.types import CALL, Block, Prompt

_HEAD = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>{tools}
</tools>

For each function call, output the function name and arguments within the following XML format:
"""
_GLM = _HEAD + """\
{s}{{function-name}}
{s}{{arg-key-1}}{s}
{s}{{arg-value-1}}{s}
{s}{{arg-key-2}}{s}
{s}{{arg-value-2}}{s}
...
{s}"""
_GLM_4_7 = _HEAD + """\
{s}{{function-name}}{s}{{arg-key-1}}{s}{s}{{arg-value-1}}{s}{s}{{arg-key-2}}{s}{s}{{arg-value-2}}{s}...{s}"""


def write_glm_call(block: Block) -> str:
    """Return a call as GLM 4.5 writes it."""
    keys = dict_of(block.value).items()
    pairs = "".join(f"{SPECIAL}{key}{SPECIAL}\n{SPECIAL}{plain(value)}{SPECIAL}\n" for key, value in keys)
    return f"{SPECIAL}{block.name}\n{pairs}{SPECIAL}"


def write_glm(prompt: Prompt) -> str:
    """Write a prompt as GLM 4.5 is shown it."""
    tools = "".join("\n" + spaced_json(function_of(tool)) for tool in prompt.tools)
    found = [SPECIAL * 2, f"{SPECIAL}\n{_GLM.format(tools=tools, s=SPECIAL)}" if tools else ""]
    last = last_question(prompt)
    for place, message, results in result_runs(prompt, SPECIAL, ""):
        if results:
            found.append(results)
        elif message.speaker == "assistant":
            text = spoken(message).strip()
            calls = "".join("\n" + write_glm_call(call) for call in message.blocks if call.kind == CALL)
            thoughts = thoughts_of(message) if place > last else ""
            found.append(f"{SPECIAL}\n{SPECIAL}{thoughts}{SPECIAL}" + (f"\n{text}" if text else "") + calls)
        else:
            found.append(f"{SPECIAL}\n{spoken(message)}")
    return "".join([*found, SPECIAL])


def write_glm_4_7(prompt: Prompt, *, effort: str = "") -> str:
    """Write a prompt as GLM 4.7 and 5 are shown it, with the reasoning of the answer begun.

    Args:
        prompt: the conversation.
        effort: what GLM 5.2 is told first of all.
    """
    tools = "".join("\n" + spaced_json(function_of(tool)) for tool in prompt.tools)
    offer = f"{SPECIAL}\n{_GLM_4_7.format(tools=tools, s=SPECIAL)}" if tools else ""
    found = [SPECIAL * 2, f"{SPECIAL}{effort}" if effort else "", offer]
    last, open_run = last_question(prompt), False
    for place, message in enumerate(prompt.messages):
        results = results_of(message)
        if results:
            found += ["" if open_run else SPECIAL, *(f"{SPECIAL}{block.text}{SPECIAL}" for block in results)]
        elif message.speaker == "assistant":
            thoughts = thoughts_of(message) if place > last else ""
            opened = SPECIAL if thoughts or effort else ""
            calls = "".join(_glm_4_7_call(call) for call in message.blocks if call.kind == CALL)
            found.append(f"{SPECIAL}{opened}{thoughts}{SPECIAL}{spoken(message).strip()}{calls}")
        else:
            found.append(f"{SPECIAL}{spoken(message)}")
        open_run = bool(results)
    return "".join([*found, SPECIAL * 2])


def _glm_4_7_call(block: Block) -> str:
    pairs = dict_of(block.value).items()
    inner = "".join(f"{SPECIAL}{key}{SPECIAL}{SPECIAL}{plain(value)}{SPECIAL}" for key, value in pairs)
    return f"{SPECIAL}{block.name}{inner}{SPECIAL}"
