"""The layout of every family whose vendor counts turn by turn: Claude, Llama, Mistral, Qwen, DeepSeek and others.

One row per family. Claude's rows were fitted with the old Claude vocabulary, which on plain English still gives the
newer models' count; constants of open models are those of their chat templates, checked against recorded usage.
"""

from __future__ import annotations

from typing import NamedTuple

from callcost.tokens.frame import UNIT, FrameBuilder
from callcost.tokens.requests.types import (
    CALL,
    RESULT,
    TEXT,
    THOUGHT,
    Answer,
    Block,
    Message,
    Prompt,
    Tool,
    compact_json,
    dict_of,
    spaced_json,
)


class TurnLayout(NamedTuple):
    """One row: what framing costs, in tokens; factors are thousandths.

    Attributes:
        start: every prompt, with the header of the answer.
        user: each message of the user's side.
        assistant: each message of the assistant's.
        system: the system text, if there is one.
        prefill: where the last message is the assistant's, which the model goes on with.
        thinking: the request asks for reasoning.
        thoughts: reasoning of the turn that is still open is shown again.
        tools: any tools at all: the hidden prompt.
        tool: each tool, beside its JSON.
        tool_factor: of a tool's JSON.
        required: the model must call some tool.
        named: it must call the named one; ``named_single`` where it may call no other beside it.
        call: a call, beside the tool's name and the texts of its arguments.
        key: each argument at the top.
        more: each further call of one message.
        result: a result, beside its text.
        form: a JSON schema for the answer, beside its JSON.
        form_factor: of that JSON.
        answer: an answer with text; ``answer_beside`` beside calls.
        answer_call: the first call of an answer; ``answer_named`` where the request asked for one.
        answer_more: each further one.
        answer_key: each argument at the top.
    """

    start: int = 3
    user: int = 4
    assistant: int = 4
    system: int = 4
    prefill: int = 0
    thinking: int = 0
    thoughts: bool = False
    tools: int = 0
    tool: int = 0
    tool_factor: int = UNIT
    required: int = 0
    named: int = 0
    named_single: int = 0
    call: int = 20
    key: int = 0
    more: int = 0
    result: int = 10
    form: int = 0
    form_factor: int = 0
    answer: int = 0
    answer_beside: int = 0
    answer_call: int = 12
    answer_more: int = 12
    answer_named: int = 12
    answer_key: int = 0


CLAUDE = TurnLayout(
    start=4, user=3, assistant=3, system=1, prefill=-3, thinking=29, thoughts=True,
    tools=315, tool=5, required=3, named=15, named_single=-27,
    call=25, key=14, more=30, result=15, form=92, form_factor=1500,
    answer=3, answer_beside=1, answer_call=33, answer_more=17, answer_named=17, answer_key=15,
)  # fmt: skip
LLAMA = TurnLayout(start=5, user=5, assistant=5, system=5, tools=80, tool_factor=1150, answer=1)
TURN_LAYOUTS = {
    "claude-2": TurnLayout(start=4, user=3, assistant=3, system=0),
    "claude-3-haiku": CLAUDE._replace(tools=264, tool=6, required=84, named=84, named_single=84),
    "claude-3-sonnet": CLAUDE._replace(tools=160, tool=5, required=0, named=0, named_single=0),
    "claude-3-opus": CLAUDE._replace(tools=525, tool=5, required=0, named=0, named_single=0),
    "claude-3.5-haiku": CLAUDE._replace(tools=264, tool=6, required=105, named=105, named_single=105),
    "claude-3.5-june": CLAUDE._replace(tools=294, tool=4),
    "claude": CLAUDE,
    "claude-4.5": CLAUDE._replace(tools=496, tool=7, required=85, named=107, named_single=107),
    "claude-4.7": CLAUDE._replace(tools=358, tool=3, required=130, named=133, named_single=133),
    "llama-3": LLAMA,
    "llama-3.1": LLAMA._replace(start=30, system=0),
    "llama-4": LLAMA._replace(start=6),
    "llama-2": TurnLayout(start=4, user=3, assistant=3, system=4),
    "mistral": TurnLayout(
        start=1, user=2, assistant=1, system=2, tools=3, tool=1, call=12, result=15,
        answer=1, answer_call=5, answer_more=5, answer_named=5,
    ),
    "mistral-old": TurnLayout(start=5, user=4, assistant=1, system=2, tools=3, tool=1, answer=1),
    "deepseek": TurnLayout(start=2, user=2, assistant=2, system=0, tools=225, call=25, result=15, answer_call=25),
    "qwen": TurnLayout(start=3, user=5, assistant=5, system=5, tools=202, answer=1, answer_call=17, answer_more=17),
    "qwen-3.5": TurnLayout(start=5, user=5, assistant=5, system=5, tools=202, answer=1, answer_call=17, answer_more=17),
    "glm": TurnLayout(start=3, user=2, assistant=2, system=2, tools=150, answer=2, answer_call=15, answer_more=15),
    "kimi": TurnLayout(start=4, user=4, assistant=4, system=4, tools=3, call=20, result=12, answer=1, answer_call=11),
    "nova": TurnLayout(
        start=0, user=0, assistant=0, system=0, tools=325, tool_factor=1120, call=20, result=20, answer=1
    ),
    "cohere": TurnLayout(start=0, user=0, assistant=0, system=0, tools=200),
    "grok": TurnLayout(start=140, user=8, assistant=4, system=4, tools=100),
    "jamba": TurnLayout(start=6, user=4, assistant=4, system=4),
    "titan": TurnLayout(start=0, user=0, assistant=0, system=0),
    "other": TurnLayout(),
}  # fmt: skip


class TurnWriter:
    """Adds texts the way one family counts them.

    Args:
        turns: the family's row.
        builder: gathers the texts and constants.
    """

    def __init__(self, turns: TurnLayout, builder: FrameBuilder) -> None:
        self.turns = turns
        self.builder = builder

    def prompt(self, prompt: Prompt) -> None:
        """Add a conversation."""
        turns, builder = self.turns, self.builder
        builder.tokens(turns.start + (turns.thinking if prompt.thinking else 0))
        if prompt.tools:
            self.tools(prompt)
        if prompt.form and prompt.form.schema is not None and turns.form_factor:
            builder.tokens(turns.form)
            self.builder.text(spaced_json(prompt.form.schema), turns.form_factor)
        last = _last_question(prompt) if turns.thoughts else len(prompt.messages)
        for place, message in enumerate(prompt.messages):
            self.message(message)
            if place > last:
                for block in message.blocks:
                    builder.text(block.text if block.kind == THOUGHT else "")
        if prompt.messages and prompt.messages[-1].role in {"assistant", "model"}:
            builder.tokens(turns.prefill)

    def tools(self, prompt: Prompt) -> None:
        """Add the tools and what choosing among them costs."""
        turns = self.turns
        named = turns.named_single if prompt.single else turns.named
        choice = {"required": turns.required, "named": named}.get(prompt.tool_choice, 0)
        self.builder.tokens(turns.tools + choice + turns.tool * len(prompt.tools))
        for tool in prompt.tools:
            self.builder.text(_tool_json(tool), turns.tool_factor)

    def message(self, message: Message) -> None:
        """Add one message."""
        turns, builder = self.turns, self.builder
        system = message.role in {"system", "developer"}
        spoken = turns.assistant if message.role in {"assistant", "model"} else turns.user
        builder.tokens(turns.system if system else spoken)
        calls = [block for block in message.blocks if block.kind == CALL]
        builder.tokens(turns.more * max(0, len(calls) - 1))
        for block in message.blocks:
            if block.kind == TEXT:
                self.builder.text(block.text)
            elif block.kind == CALL:
                builder.tokens(turns.call)
                self.call(block, turns.key)
            elif block.kind == RESULT:
                builder.tokens(turns.result)
                self.builder.text(block.text)

    def call(self, block: Block, each: int) -> None:
        """Add a call's name and arguments, key by key where each key has its price."""
        self.builder.text(block.name)
        if not each:
            self.builder.text(block.text)
            return
        for key, value in dict_of(block.value).items():
            self.builder.tokens(each)
            self.builder.text(key)
            self.builder.text(value if isinstance(value, str) else compact_json(value))

    def answer(self, answer: Answer, prompt: Prompt) -> None:
        """Add an answer; thoughts are billed apart."""
        turns, builder = self.turns, self.builder
        named = prompt.tool_choice in {"named", "required"}
        for blocks in answer.alternatives:
            texts = [block.text for block in blocks if block.kind == TEXT and block.text]
            calls = [block for block in blocks if block.kind == CALL]
            text = turns.answer_beside if calls else turns.answer
            builder.tokens(text if texts and not answer.cut else 0)
            for piece in texts:
                builder.text(piece)
            for number, block in enumerate(calls):
                first = turns.answer_named if named else turns.answer_call
                builder.tokens(turns.answer_more if number else first)
                self.call(block, turns.answer_key)


def _last_question(prompt: Prompt) -> int:
    """Return the place of the last message of the user's that answers no call."""
    asked = (
        place
        for place, message in enumerate(prompt.messages)
        if message.role == "user" and all(block.kind != RESULT for block in message.blocks)
    )
    return max(asked, default=-1)


def _tool_json(tool: Tool) -> str:
    return spaced_json({"description": tool.description, "name": tool.name, "parameters": tool.parameters})
