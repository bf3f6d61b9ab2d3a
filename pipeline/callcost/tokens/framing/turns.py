"""The layout of every family whose vendor counts turn by turn: Claude, Llama, Mistral, Qwen, DeepSeek and others.

One row per family. Claude's rows were fitted with the old Claude vocabulary, which on plain English still gives the
newer models' count; constants of open models are those of their chat templates, checked against recorded usage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from callcost.tokens.frame import UNIT, FrameBuilder, day
from callcost.tokens.framing.templates.parts import CallWriter, Writer
from callcost.tokens.model_families import Choice
from callcost.tokens.requests.json_values import compact_json, dict_of, spaced_json, text_of
from callcost.tokens.requests.types import CALL, RESULT, TEXT, THOUGHT, Answer, Block, Message, Prompt, Tool


class TurnLayout(NamedTuple):
    """One row: what framing costs. Figures are tokens, and may be negative; factors are thousandths.

    Attributes:
        written: every prompt is written by the model's template, else only one with tools, calls or results.
        start: added once to every prompt, for the header of the answer.
        user: added for each message of the user and of tools.
        assistant: added for each message of the assistant.
        system: added for each system message.
        no_system: added where there is none, for the system text that the model's template has in its place.
        prefill: added where the last message is the assistant's, which the model goes on with.
        thinking: added where the request asks for reasoning.
        reasons: added where the request does not turn reasoning off.
        thoughts: the reasoning of the turn that is still open is shown to the model again.
        tools: added once where any tools are offered, for the hidden prompt.
        tool: added for each tool, beside its JSON.
        tool_factor: weight of a tool's JSON; 0: of its texts alone, without signs and types.
        tool_keys: keys of a tool's parameters that the host writes before all others, in its order.
        template: added to a prompt that the model's template writes.
        history: added once where calls or results stand among the messages.
        none_hides: tools are left out where the model may call none.
        any_tool: added where the model must call some tool.
        one_tool: added where the model must call one named tool.
        only_tool: added instead, where it may call no other beside it.
        call: added for each call, beside the tool's name and the texts of its arguments.
        call_key: added for each argument at the top level; 0: the arguments are one text.
        call_more: added for each call of a message but the first.
        result: added for each result, beside its text.
        citations: added where the answer is to cite a document or a search result.
        form: added for a JSON schema that the answer must follow, beside its JSON.
        form_factor: weight of that JSON; 0: a schema adds nothing at all.
        text: added for each input that is no message.
        specials: finds the special tokens that an input of that kind may hold; "": they are text.
        answer: added to an answer with text and no calls.
        answer_beside: added to an answer with text and calls.
        answer_call: added for the first call of an answer.
        answer_more: added for each further call of an answer.
        answer_any: added instead of ``answer_call``, where the request asked for a call.
        answer_named: added instead, without the tool's name, where the request named it; None: it is as any call.
        answer_key: added for each argument of an answer's call; 0: the arguments are one text.
        answer_thoughts: added to an answer that shows its reasoning.
    """

    written: bool = False
    start: int = 3
    user: int = 4
    assistant: int = 4
    system: int = 4
    no_system: int = 0
    prefill: int = 0
    thinking: int = 0
    reasons: int = 0
    thoughts: bool = False
    tools: int = 0
    tool: int = 0
    tool_factor: int = UNIT
    tool_keys: tuple[str, ...] = ()
    template: int = 0
    history: int = 0
    none_hides: bool = False
    any_tool: int = 0
    one_tool: int = 0
    only_tool: int = 0
    call: int = 20
    call_key: int = 0
    call_more: int = 0
    result: int = 10
    citations: int = 0
    form: int = 0
    form_factor: int = 0
    text: int = 0
    specials: str = ""
    answer: int = 0
    answer_beside: int = 0
    answer_call: int = 12
    answer_more: int = 12
    answer_any: int = 12
    answer_named: int | None = None
    answer_key: int = 0
    answer_thoughts: int = 0


CLAUDE = TurnLayout(
    start=4, user=3, assistant=3, system=1, prefill=-3, thinking=29, thoughts=True,
    tools=315, tool=5, any_tool=3, one_tool=15, only_tool=-27,
    call=25, call_key=14, call_more=30, result=15, citations=570, form=92, form_factor=1500,
    answer=3, answer_beside=1, answer_call=33, answer_more=17, answer_any=18, answer_named=16, answer_key=15,
)  # fmt: skip
LLAMA = TurnLayout(
    start=5, user=5, assistant=5, system=5, tools=80, tool_factor=1150, answer=1,
    specials=r"<\|(?:begin_of_text|(?:start|end)_header_id|eo[tm]_id|end_of_text|python_tag)\|>",
)  # fmt: skip
QWEN = TurnLayout(
    start=3, user=5, assistant=5, system=5, tools=82, tool=10, answer=1, answer_call=17, answer_more=17
)
TEXTS = TurnLayout()  # of inputs that are no messages, where the family has no row
TURN_LAYOUTS = {
    "claude-2": TurnLayout(start=4, user=3, assistant=3, system=0),
    "claude-3-haiku": CLAUDE._replace(tools=264, tool=6, any_tool=84, one_tool=84, only_tool=84),
    "claude-3-sonnet": CLAUDE._replace(tools=160, tool=5, any_tool=0, one_tool=0, only_tool=0),
    "claude-3-opus": CLAUDE._replace(tools=525, tool=5, any_tool=0, one_tool=0, only_tool=0),
    "claude-3.5-haiku": CLAUDE._replace(tools=264, tool=6, any_tool=105, one_tool=105, only_tool=105),
    "claude-3.5-june": CLAUDE._replace(tools=294, tool=4),
    "claude": CLAUDE,
    "claude-4.5": CLAUDE._replace(tools=496, tool=7, any_tool=85, one_tool=107, only_tool=107),
    "claude-4.7": CLAUDE._replace(tools=358, tool=3, any_tool=130, one_tool=133, only_tool=133),
    "llama-guard": LLAMA._replace(start=188),  # its template holds the policy
    "llama-3": LLAMA,
    "llama-3.1": LLAMA._replace(start=30, system=0),
    "llama-4": LLAMA._replace(specials=""),
    "llama-2": TurnLayout(start=4, user=3, assistant=3, system=4),
    "mistral": TurnLayout(
        start=1, user=2, assistant=1, system=2, tools=3, tool=10, call=1, result=1,
        answer=1, answer_call=3, answer_more=2, answer_any=3,
    ),
    "mistral-old": TurnLayout(start=5, user=4, assistant=1, system=2, tools=3, tool=1, answer=1),
    "deepseek": TurnLayout(start=2, user=2, assistant=2, system=0, tools=221, call=25, result=15, answer_call=25),
    "deepseek-v3": TurnLayout(
        start=2, user=2, assistant=2, system=0, tools=92, call=25, result=15, answer=1, answer_call=25
    ),
    "qwen": QWEN,
    "qwen-3": QWEN,
    "qwen-3.5": TurnLayout(start=5, user=5, assistant=5, system=5, tools=202, answer=1, answer_call=17, answer_more=17),
    "glm": TurnLayout(
        start=3, user=2, assistant=2, system=2, tools=88, tool=12,
        answer=2, answer_call=15, answer_more=15,
    ),
    "kimi": TurnLayout(
        start=3, user=4, assistant=4, system=4, no_system=18, tools=3,
        call=20, result=12, answer=1, answer_call=11,
    ),
    "nova": TurnLayout(
        start=0, user=0, assistant=0, system=0, tools=325, tool_factor=1120, call=20, result=20, answer=1
    ),
    # Billed is what is said: https://docs.cohere.com/reference/chat (billed_units).
    "cohere": TurnLayout(start=0, user=0, assistant=0, system=0, tool_factor=0, call=0, result=0),
    "minimax": TurnLayout(start=8, no_system=29, tools=97, tool=6),
    "grok": TurnLayout(start=148, user=8, assistant=4, system=0, tools=100),
    "grok-2": TurnLayout(start=0, user=6, assistant=6, system=4, tools=100),
    "grok-3": TurnLayout(start=0, user=6, assistant=6, system=4, tools=195, one_tool=-130),
    "grok-4": TurnLayout(start=677, user=8, assistant=4, system=0, tools=100),
    "grok-code": TurnLayout(start=196, user=8, assistant=4, system=0, tools=100),
    # Channels of its answers: 350 answers, 7 repositories, 2026-11-30.
    "gpt-oss": TurnLayout(
        written=True, answer=4, answer_call=11, answer_more=11, answer_any=11, answer_thoughts=6,
    ),
    "jamba": TurnLayout(start=6, user=4, assistant=4, system=4),
    "gemma": TurnLayout(start=4, user=5, assistant=5, system=1),
    "titan": TurnLayout(start=0, user=0, assistant=0, system=0),
    "other": TurnLayout(),
}  # fmt: skip


LLAMAS = ("llama-3", "llama-3.1", "llama-guard")


class Variant(NamedTuple):
    """What is different at one host, for some models of a family, or since a day (microseconds since 1970 UTC)."""

    framing: str
    changes: dict[str, Any]
    provider: str = ""
    models: str = ""
    since: int = 0


VARIANTS = (
    # Ollama's templates leave out the date, and part of what Qwen's says of tools.
    Variant("llama-3.1", {"start": 20}, provider="ollama"),
    Variant("qwen", {"tools": 46, "tool": 6}, provider="ollama"),
    # Both begin a text with the token that begins every text (vLLM's add_special_tokens, Ollama's raw).
    *(Variant(framing, {"text": 1}, provider=host) for framing in LLAMAS for host in ("ollama", "vllm")),
    Variant("qwen-3", {"text": 1}, models="embed"),  # 39 calls, 2 repositories, 2026-11-30
    # The model's settings stand in the prompt since Mistral Small 4.
    Variant("mistral", {"start": 13}, models="(mistral|magistral)-small-(latest|2[6-9])", since=day("2026-01-01")),
    # A text of 79 tokens on reasoning.
    Variant("deepseek", {"reasons": 79}, provider="deepseek", models="v4|chat|reasoner", since=day("2026-08-01")),
    # Mistral itself writes what is required behind the type (35 calls, 2 repositories, 2026-11-30).
    Variant("mistral", {"tool_keys": ("properties", "type", "required")}, provider="mistral"),
    Variant("deepseek-v3", {"template": 3}, models=r"v3[.-]1"),  # 20 calls, 2 repositories, 2026-11-30
    Variant("qwen-3", {"start": 5}, models="thinking"),  # the answer's reasoning is begun, as its template says
    Variant("glm", {"start": 4, "user": 1, "assistant": 2, "system": 1}, models=r"glm-?(4[.-]7|[5-9])"),
    Variant("glm", {"start": 11, "assistant": 3}, models=r"glm-?5[.-][2-9]"),  # told how hard to think
    Variant("nova", {"history": 542}, models="nova-2"),
    Variant("minimax", {"no_system": 26}, models="m2[.-][57]"),  # the system text of its template
    *(Variant(framing, {"none_hides": True}, provider="groq") for framing in ("llama-3.1", "llama-4")),
    Variant("grok-3", {"tools": 218}, models="mini"),  # 78 calls, 2 repositories, 2026-11-30
    Variant("claude-4.7", {"tools": 694}, models=r"opus-4[.-]7"),
    Variant("claude-4.7", {"tools": 446}, models=r"opus-4[.-]8"),
)


def turn_layout_of(choice: Choice, at: int | None = None) -> TurnLayout | None:
    """Return the row of a model's family as it is at its host; None: the family is laid out otherwise.

    Args:
        choice: how the model's text is counted.
        at: when the call was made, in microseconds since 1970 UTC; None: the rules of today.
    """
    layout = TURN_LAYOUTS.get(choice.framing)
    for variant in VARIANTS if layout else ():
        here = variant.framing == choice.framing and variant.provider in {"", choice.provider}
        if here and (at is None or at >= variant.since) and re.search(variant.models, choice.model):
            layout = layout and layout._replace(**variant.changes)
    return layout


def lay_out_turns(prompt: Prompt, layout: TurnLayout, builder: FrameBuilder, write: Writer | None = None) -> None:
    """Add a conversation to a builder.

    Args:
        prompt: the conversation.
        layout: the row of its family.
        builder: gathers the texts and constants.
        write: writes prompts with tools, calls or results, or all of them, by the model's own template.
    """
    if layout.none_hides and prompt.tool_choice == "none":
        prompt.tools = []
    used = any(block.kind in {CALL, RESULT} for message in prompt.messages for block in message.blocks)
    if write and (prompt.tools or used or layout.written):
        builder.tokens(layout.template)
        builder.pieces(write(prompt))
        return
    builder.tokens(layout.history if used else 0)
    builder.tokens(layout.start + (layout.thinking if prompt.thinking else 0))
    builder.tokens(0 if prompt.silent else layout.reasons)
    if all(message.speaker != "system" for message in prompt.messages):
        builder.tokens(layout.no_system)
    if prompt.tools:
        _lay_out_tools(prompt, layout, builder)
    if prompt.form and prompt.form.schema is not None and layout.form_factor:
        builder.tokens(layout.form)
        builder.text(spaced_json(prompt.form.schema), layout.form_factor)
    cited = any(block.cited for message in prompt.messages for block in message.blocks)
    builder.tokens(layout.citations if cited else 0)
    last = _last_question(prompt) if layout.thoughts else len(prompt.messages)
    for place, message in enumerate(prompt.messages):
        _lay_out_message(message, layout, builder)
        if place > last:
            for block in message.blocks:
                builder.text(block.text if block.kind == THOUGHT else "")
    if prompt.messages and prompt.messages[-1].speaker == "assistant":
        builder.tokens(layout.prefill)


def lay_out_texts(prompt: Prompt, layout: TurnLayout, builder: FrameBuilder) -> None:
    """Add inputs that are no messages to a builder.

    Args:
        prompt: the inputs.
        layout: the row of their family.
        builder: gathers the texts and constants.
    """
    for text in prompt.texts:
        pieces = re.split(layout.specials, text) if layout.specials else [text]
        builder.tokens(layout.text + len(pieces) - 1)
        for piece in pieces:
            builder.text(piece)
    builder.tokens(prompt.tokens)


def _lay_out_tools(prompt: Prompt, layout: TurnLayout, builder: FrameBuilder) -> None:
    """Add the tools and what choosing among them costs."""
    named = layout.only_tool if prompt.single else layout.one_tool
    choice = {"required": layout.any_tool, "named": named}.get(prompt.tool_choice, 0)
    builder.tokens(layout.tools + choice + layout.tool * len(prompt.tools))
    for tool in prompt.tools:
        given = dict_of(tool.parameters)
        schema = {key: given[key] for key in layout.tool_keys if key in given} | given if given else tool.parameters
        written = {"description": tool.description, "name": tool.name, "parameters": schema}
        for text in [spaced_json(written)] if layout.tool_factor else _texts_of(tool):
            builder.text(text, layout.tool_factor or UNIT)


def _texts_of(tool: Tool) -> Iterator[str]:
    """Yield the names and descriptions of a tool and of its parameters."""
    yield from (tool.name, tool.description)
    for name, schema in dict_of(dict_of(tool.parameters).get("properties")).items():
        yield from (name, text_of(dict_of(schema).get("description")))


def _lay_out_message(message: Message, layout: TurnLayout, builder: FrameBuilder) -> None:
    header = {"system": layout.system, "assistant": layout.assistant, "user": layout.user}
    builder.tokens(header[message.speaker])
    calls = sum(block.kind == CALL for block in message.blocks)
    builder.tokens(layout.call_more * max(0, calls - 1))
    for block in message.blocks:
        builder.tokens({CALL: layout.call, RESULT: layout.result}.get(block.kind, 0))
        if block.kind == CALL:
            builder.text(block.name)
            _lay_out_arguments(block, layout.call_key, builder)
        elif block.kind in {TEXT, RESULT}:
            builder.text(block.text)


def _lay_out_arguments(block: Block, each: int, builder: FrameBuilder) -> None:
    """Add a call's arguments, key by key where each key has its price."""
    builder.text("" if each else block.text)
    for key, value in dict_of(block.value).items() if each else ():
        builder.tokens(each)
        builder.text(key)
        builder.text(value if isinstance(value, str) else compact_json(value))


def lay_out_turns_answer(
    answer: Answer, prompt: Prompt, layout: TurnLayout, builder: FrameBuilder, write: CallWriter | None = None
) -> None:
    """Add an answer to a builder, but for its reasoning.

    Args:
        answer: the answer, all its alternatives.
        prompt: what was asked, for the choice among its tools.
        layout: the row of its family.
        builder: gathers the texts and constants.
        write: writes calls by the model's own template.
    """
    named = layout.answer_named if prompt.tool_choice == "named" else None
    first = layout.answer_any if prompt.tool_choice in {"named", "required"} else layout.answer_call
    for blocks in answer.alternatives:
        texts = [block.text for block in blocks if block.kind == TEXT and block.text]
        calls = [block for block in blocks if block.kind == CALL]
        if calls and write:
            builder.pieces("\n".join([*texts, *map(write, calls)]))
            builder.tokens(layout.answer)
            continue
        text = layout.answer_beside if calls else layout.answer
        builder.tokens(text if texts and not answer.cut else 0)
        for piece in texts:
            builder.text(piece)
        for number, block in enumerate(calls):
            builder.tokens(layout.answer_more if number else first if named is None else named)
            builder.text(block.name if number or named is None else "")
            _lay_out_arguments(block, layout.answer_key, builder)


def _last_question(prompt: Prompt) -> int:
    """Return the place of the last message of the user's that answers no call; -1: there is none."""
    asked = (
        place
        for place, message in enumerate(prompt.messages)
        if message.role == "user" and all(block.kind != RESULT for block in message.blocks)
    )
    return max(asked, default=-1)
