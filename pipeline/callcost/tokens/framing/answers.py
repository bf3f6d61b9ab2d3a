"""How an answer comes to tokens: text, calls, and what ends or introduces them; one row per family and API.

Reasoning is added in messages.py where it is shown; no text stands for what is not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from callcost.tokens.frame import FrameBuilder, day
from callcost.tokens.framing.openai_layouts import write_bundle
from callcost.tokens.requests.json_values import compact_json, spaced_json
from callcost.tokens.requests.types import CALL, TEXT, Answer, Block, Prompt


class AnswerLayout(NamedTuple):
    """One row: what framing an answer costs, in tokens.

    Attributes:
        text: added to an answer with text, unless it was cut off.
        with_tools: added to the same, where tools were offered.
        form: when the name of the answer's form is added, with 2 tokens: "" never, "beside" with tools, "always".
        call: added for each call, beside the tool's name and the arguments.
        call_named: added instead, without the name, for a call that the request named; None: it is as any call.
        names_only: that some tool must be called names it, where there is one only.
        bundle: added once to several calls that are written as one text; None: they are written one by one.
        dot: a call has a dot before the tool's name.
    """

    text: int = 0
    with_tools: int = 0
    form: str = ""
    call: int = 0
    call_named: int | None = None
    names_only: bool = False
    bundle: int | None = None
    dot: bool = False


CHAT = AnswerLayout(with_tools=1, form="beside", call=7, call_named=0, bundle=10, dot=True)
# The token that ends the answer is billed.
WITH_END: dict[str, Any] = {"text": 1, "call": 8, "call_named": 1, "bundle": 11}
RESPONSES = CHAT._replace(**WITH_END, names_only=True)
ANSWER_LAYOUTS = {
    ("gpt-4", "chat"): CHAT,
    ("gpt-0613", "chat"): CHAT._replace(call=2),
    ("gpt-4", "responses"): RESPONSES,
    ("gpt-5", "chat"): AnswerLayout(text=3, form="always", call=10, bundle=13, dot=True),
    ("gpt-5", "responses"): AnswerLayout(text=4, form="always", call=11, bundle=14, dot=True),
}
ALIASES = {
    "gpt-3.5": "gpt-4", "gpt-0301": "gpt-4", "gpt-4-search": "gpt-4", "gpt-5.2": "gpt-5", "gpt-5-chat": "gpt-4",
}  # fmt: skip
HOSTS: dict[tuple[str, str], dict[str, Any]] = {
    ("azure", "chat"): WITH_END,
    ("github", "chat"): WITH_END,
    ("copilot", "chat"): WITH_END,
    ("azure", "responses"): {"with_tools": 0},
}
END_SINCE, END_UNTIL = day("2025-03-18"), day("2025-05-15")  # OpenAI billed it then


def answer_layout_of(framing: str, api: str, provider: str = "", at: int | None = None) -> AnswerLayout:
    """Return the row of a family and API; bare text where there is none.

    Args:
        framing: the family's framing.
        api: "chat" or "responses".
        provider: name of the provider that was asked, in lower case.
        at: when the call was made, in microseconds since 1970 UTC.
    """
    layout = ANSWER_LAYOUTS.get((ALIASES.get(framing, framing), api)) or AnswerLayout()
    if ALIASES.get(framing, framing) != "gpt-4":
        return layout
    if layout is CHAT and at is not None and END_SINCE <= at < END_UNTIL:
        return layout._replace(**WITH_END)
    return layout._replace(**HOSTS.get((provider, api), {}))


def lay_out_answer(answer: Answer, prompt: Prompt, layout: AnswerLayout, builder: FrameBuilder) -> None:
    """Add an answer to a builder.

    Args:
        answer: the answer, all its alternatives.
        prompt: what was asked, for the tools and the form that it names.
        layout: the row of its family and API.
        builder: gathers the texts and constants.
    """
    for blocks in answer.alternatives:
        texts = [block for block in blocks if block.kind == TEXT and block.text]
        calls = [block for block in blocks if block.kind == CALL]
        for block in texts:
            builder.text(block.text)
        if texts and not answer.cut:
            builder.tokens(layout.text + (layout.with_tools if prompt.tools else 0))
            _write_form(prompt, layout, builder)
        _write_calls(calls, prompt, layout, builder)


def _write_form(prompt: Prompt, layout: AnswerLayout, builder: FrameBuilder) -> None:
    form = prompt.form
    beside = bool(prompt.tools) and prompt.tool_choice != "none"
    if form and form.schema is not None and (layout.form == "always" or (layout.form == "beside" and beside)):
        builder.tokens(2)
        builder.text(form.name)


def _is_rewritten(block: Block) -> bool:
    """Return whether a call's arguments are what Python's json writes: a bundle's are, a single call's are not."""
    return block.text != compact_json(block.value) and block.text == spaced_json(block.value)


def _write_calls(calls: list[Block], prompt: Prompt, layout: AnswerLayout, builder: FrameBuilder) -> None:
    if layout.bundle is not None and (len(calls) > 1 or any(_is_rewritten(block) for block in calls)):
        builder.tokens(layout.bundle)
        builder.text(write_bundle(calls))
        return
    for block in calls:
        if prompt.named(only=layout.names_only) and layout.call_named is not None:
            builder.tokens(layout.call_named)
        else:
            builder.tokens(layout.call)
            builder.text(f".{block.name}" if layout.dot else block.name)
        builder.text(block.text)
