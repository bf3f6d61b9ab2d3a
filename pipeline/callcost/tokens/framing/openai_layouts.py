"""OpenAI's layout of a prompt: role and name, tools and form as text blocks, calls and results with their own headers.

One row of ``LAYOUTS`` per family and API; every constant was read off recorded usage (see error_estimates.py for how
often each shape comes out exact). What the blocks look like is written in tool_schemas.py and answer_schema.py, what an
image costs in media.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from callcost.tokens.frame import FrameBuilder, day
from callcost.tokens.framing.answer_schema import write_form
from callcost.tokens.framing.tool_schemas import write_tools
from callcost.tokens.requests.json_values import compact_json, parse_json, spaced_json
from callcost.tokens.requests.types import CALL, OFFER, RESULT, TEXT, THOUGHT, UNREAD, Block, Message, Prompt


class Layout(NamedTuple):
    """One row: what framing costs. Figures are tokens, and may be negative, unless they say otherwise.

    Attributes:
        start: added once to every prompt, for the header of the answer.
        message: added for each message, beside the texts of its role and content.
        roles: the role of each message is billed, with its name.
        assistant: added for each assistant message on top of ``message``.
        joins_system: tools and form are appended to the first system text, where there is one.
        strips_system: the system text loses the blanks at its end before tools and form are appended.
        separate_blocks: without a system text to join, tools and form are two texts, else one.
        no_system: added where tools and form stand without a system text to join.
        tools: added for the block of tools.
        bare_tool: added where the first tool has no description.
        form: added for the block of the answer's form, where no tools are offered.
        form_beside_tools: added for the block of the answer's form, where tools are offered.
        form_name: added for the form's name in the header of each assistant message; None: no header names it.
        form_name_first: the header of the answer to come names the form, too.
        choice_none: added for the tool choice "none".
        choice_named: added for the choice of one tool, beside its name; None: the choice adds nothing at all.
        names_only: that some tool must be called names it, where there is one only.
        call: added for a single call, beside the tool's name and the arguments.
        result: added for a result, beside the tool's name and the content.
        calls: added once for several calls at once.
        bundles_calls: several calls at once are written as one text, and so are their results.
        call_of_several: added for each of several calls at once together with its result, where they are not bundled.
        own_id: added for a call that is sent back with its provider's id.
        dot: the header of a result has a dot before the tool's name.
        minifies: the arguments of a call are written anew as minified JSON, else as they were sent.
        plain_tools: tools are written in the layout of June 2023, with the descriptions of the first level only.
        ciphertext: thousandths of a token per character of encrypted reasoning after the last user message.
        ciphertext_less: subtracted for each item of encrypted reasoning.
        more_tools: added for tools that are offered within the conversation, where there is a system text.
        more_tools_alone: added for the same, where there is none.
        shares_prompt: the prompt is divided by the number of calls in the answer, where there are several.
    """

    start: int = 3
    message: int = 3
    roles: bool = True
    assistant: int = 0
    joins_system: bool = True
    strips_system: bool = False
    separate_blocks: bool = False
    no_system: int = 4
    tools: int = -1
    bare_tool: int = 0
    form: int = 0
    form_beside_tools: int = 0
    form_name: int | None = 2
    form_name_first: bool = True
    choice_none: int = 1
    choice_named: int | None = 7
    names_only: bool = False
    call: int = 8
    result: int = 5
    calls: int = 20
    bundles_calls: bool = True
    call_of_several: int = 13
    own_id: int = 0
    dot: bool = False
    minifies: bool = True
    plain_tools: bool = False
    ciphertext: int = 0
    ciphertext_less: int = 0
    more_tools: int = 84
    more_tools_alone: int = 81
    shares_prompt: bool = False


CHAT = Layout()
CHAT_5 = Layout(
    start=2, assistant=2, strips_system=True, separate_blocks=True, no_system=1, tools=84, bare_tool=-1, form=3,
    form_name_first=False, choice_none=0, choice_named=None, call=10, result=9, calls=26,
)  # fmt: skip
RESPONSES = Layout(
    joins_system=False, separate_blocks=True, no_system=0, tools=-3, form=1, form_beside_tools=1, form_name=None,
    call=6, result=5, calls=0, bundles_calls=False, call_of_several=11, own_id=3, dot=True, minifies=False,
    names_only=True,
)  # fmt: skip
RESPONSES_5 = RESPONSES._replace(
    start=2, assistant=2, tools=3, bare_tool=-1, form=0, form_beside_tools=0, choice_none=0, choice_named=None,
    names_only=False, call=9, result=8, calls=0, call_of_several=17, own_id=0, ciphertext=178, ciphertext_less=168,
)  # fmt: skip
O_SERIES = CHAT._replace(start=2, no_system=1, tools=3, choice_none=0, choice_named=None, call=11, result=9, dot=True)
LAYOUTS = {
    ("o-series", "chat"): O_SERIES,
    ("o-series", "responses"): RESPONSES_5._replace(tools=0, bare_tool=0),
    ("gpt-4", "chat"): CHAT,
    ("gpt-3.5", "chat"): CHAT,
    ("gpt-0613", "chat"): CHAT._replace(plain_tools=True, choice_named=4, call=7, result=3),
    ("gpt-0613", "responses"): RESPONSES._replace(start=2),  # 7 calls, 2 repositories, 2026-11-30
    ("gpt-0301", "chat"): CHAT._replace(message=4),
    # What searches before it answers is billed for the texts alone: 3 of 3 calls of one repository, and 2 that others
    # published (26 = 16 + 10, 9 = 9), 2026-12-01.
    ("gpt-4-search", "chat"): CHAT._replace(start=0, message=0, roles=False),
    ("gpt-4", "responses"): RESPONSES,
    ("gpt-5", "chat"): CHAT_5,
    ("gpt-5.2", "chat"): CHAT_5,
    ("gpt-5-chat", "chat"): CHAT_5._replace(start=3),  # it does not reason: 3 hosts, 2 repositories, 2026-11-30
    ("gpt-5-chat", "responses"): RESPONSES_5._replace(start=3),
    ("gpt-5", "responses"): RESPONSES_5,
    ("gpt-5.2", "responses"): RESPONSES_5._replace(call=11, result=9, calls=22, call_of_several=14),
}


class Era(NamedTuple):
    """What was different for a while; moments in microseconds since 1970 UTC."""

    framing: str
    api: str
    since: int
    until: int
    changes: dict[str, Any]
    models: str = ""  # a pattern on their names


# Chats that a provider passes on to the Responses API, by a pattern on the models' names.
BY_RESPONSES = {"openrouter": re.compile(r"gpt-(4\.1|[5-9])|(^|/)o[1-9]")}


# Seen in recordings: the first weeks of the Responses API, and answers with several calls in the winter of 2025.
ERAS = (
    Era("gpt-4", "responses", 0, day("2025-03-28"), {"start": 21, "tools": 195, "own_id": 0}),
    Era("gpt-5", "responses", day("2025-09-25"), day("2025-10-24"), {"tools": 6}, r"gpt-5(?!-(mini|nano))"),
    Era("gpt-4", "responses", day("2025-10-08"), day("2026-03-01"), {"shares_prompt": True}),
)


def serving_api(api: str, provider: str, model: str) -> str:
    """Return which of OpenAI's APIs answers in the end, where a provider passes chats on to the other one.

    Args:
        api: "chat" or "responses", as the call was made.
        provider: name of the provider that was asked, in lower case.
        model: name of the model, in lower case.
    """
    passed_on = BY_RESPONSES.get(provider)
    return "responses" if passed_on and passed_on.search(model) else api


def layout_of(framing: str, api: str, at: int | None, model: str = "") -> Layout:
    """Return the row of a family and API at a moment; that of gpt-4 where the family has none.

    Args:
        framing: the family's framing.
        api: "chat" or "responses".
        at: when the call was made, in microseconds since 1970 UTC; None: the rules of today.
        model: name of the model, in lower case.
    """
    layout = LAYOUTS.get((framing, api)) or LAYOUTS.get((framing, "chat")) or LAYOUTS["gpt-4", api]
    for era in ERAS:
        here = (era.framing, era.api) == (framing, api) and re.search(era.models, model)
        if at is not None and here and era.since <= at < era.until:
            return layout._replace(**era.changes)
    return layout


def write_bundle(calls: Sequence[Block]) -> str:
    """Return several calls at once as the arguments of the one call that they are to the model."""
    uses = [{"recipient_name": f"functions.{block.name}", "parameters": block.value} for block in calls]
    return compact_json({"tool_uses": uses})


def lay_out(prompt: Prompt, layout: Layout, builder: FrameBuilder) -> None:
    """Add a conversation to a builder.

    Args:
        prompt: the conversation.
        layout: the row of its family and API.
        builder: gathers the texts and constants.
    """
    writer = _Writer(prompt, layout, builder)
    writer.start()
    last = max((n for n, message in enumerate(prompt.messages) if message.role == "user"), default=-1)
    for place, message in enumerate(prompt.messages):
        writer.message(message)
        if place > last:
            writer.reasoning(message)
    writer.flush()


class _Writer:
    """Writes messages in order; holds the block not yet joined and the results of a parallel call."""

    def __init__(self, prompt: Prompt, layout: Layout, builder: FrameBuilder) -> None:
        self.prompt = prompt
        self.layout = layout
        self.builder = builder
        self.pending: str = ""  # blocks that wait for the first system text
        self.results: list[object] | None = None  # of a bundled call
        self.calls = 0  # in the message before
        form = prompt.form
        self.form = form if form and form.schema is not None else None
        free = bool(prompt.tools) and prompt.tool_choice != "none"  # the answer may be a call
        self.constrained = self.form if not free and layout.form_name is not None else None

    def start(self) -> None:
        """Write the header of the answer to come, and tools and form or keep them for a system text."""
        self.builder.tokens(self.layout.start)
        if self.layout.form_name_first:
            self.header()
        found = self.blocks()
        if not found:
            return
        if self.layout.joins_system and any(message.speaker == "system" for message in self.prompt.messages):
            self.pending = "\n\n" + "\n\n".join(found)
            return
        self.builder.tokens(self.layout.no_system)
        for text in found if self.layout.separate_blocks else ["\n\n".join(found)]:
            self.builder.text(text)

    def blocks(self) -> list[str]:
        """Return the texts of tools and form, and add what framing them costs."""
        layout, prompt, builder = self.layout, self.prompt, self.builder
        found = []
        if prompt.tools:
            found.append(write_tools(prompt.tools, plain=layout.plain_tools))
            builder.tokens(layout.tools + (0 if prompt.tools[0].description else layout.bare_tool))
            if prompt.tool_choice == "none":
                builder.tokens(layout.choice_none)
            elif (named := prompt.named(only=layout.names_only)) and layout.choice_named is not None:
                builder.tokens(layout.choice_named)
                builder.text(f".{named}")
        if self.form:
            found.append(write_form(self.form))
            builder.tokens(layout.form_beside_tools if prompt.tools else layout.form)
        return found

    def header(self) -> None:
        """Write what an assistant's header holds beside the role: the form its text must have."""
        if self.constrained:
            self.builder.tokens(self.layout.form_name or 0)
            self.builder.text(self.constrained.name)

    def message(self, message: Message) -> None:
        """Write one message: its text, then its calls or results."""
        calls = [block for block in message.blocks if block.kind == CALL]
        results = [block for block in message.blocks if block.kind == RESULT]
        texts = [block for block in message.blocks if block.kind == TEXT]
        if not results:
            self.flush()
        for block in (block for block in message.blocks if block.kind == OFFER):
            led = any(one.speaker == "system" for one in self.prompt.messages if one is not message)
            self.builder.tokens(self.layout.more_tools if led else self.layout.more_tools_alone)
            self.builder.text(write_tools(block.value))
        unread = all(block.kind in {UNREAD, OFFER} for block in message.blocks)
        if texts or unread or any(block.media for block in message.blocks if block.kind != RESULT):
            self.text(message, texts)
        if len(calls) > 1:
            self.parallel(calls)
        elif calls:
            self.call(calls[0], self.layout.call + (self.layout.own_id if calls[0].own_id else 0))
            self.builder.text(f":{message.name}" if message.name else "")
        for block in results:
            self.result(block)

    def reasoning(self, message: Message) -> None:
        """Write reasoning that is put back into the prompt: a guess from the length of its ciphertext."""
        for block in message.blocks:
            if block.kind == THOUGHT and block.encrypted:
                self.builder.ciphertext(block.encrypted, self.layout.ciphertext, self.layout.ciphertext_less)

    def text(self, message: Message, texts: list[Block]) -> None:
        """Write a message's text; the first system text carries the blocks."""
        self.builder.tokens(self.layout.message)
        if self.layout.roles:
            self.builder.text(f"{message.role}:{message.name}" if message.name else message.role)
        if message.role == "assistant":
            self.builder.tokens(self.layout.assistant)
            self.header()
        pieces = [block.text for block in texts]
        if self.pending and message.speaker == "system":
            whole = "".join(pieces)
            whole = whole.rstrip() if self.layout.strips_system else whole
            pieces = [whole + self.pending]
            self.pending = ""
        for piece in pieces:
            self.builder.text(piece)

    def call(self, block: Block, header: int) -> None:
        """Write one call: the tool's name and the arguments."""
        self.builder.tokens(header)
        self.builder.text(f".{block.name}")
        again = self.layout.minifies and isinstance(block.value, (dict, list))
        self.builder.text(compact_json(block.value) if again else block.text)

    def parallel(self, calls: list[Block]) -> None:
        """Write several calls at once: bundled as the one call that they are to the model, or one by one."""
        self.builder.tokens(self.layout.calls)
        if self.layout.bundles_calls:
            self.builder.text(write_bundle(calls))
            self.results = []
            return
        for block in calls:
            self.call(block, self.layout.call_of_several - self.layout.result)

    def result(self, block: Block) -> None:
        """Write one result, or keep it for the one message that answers a bundled call."""
        if self.results is not None:
            value = parse_json(block.text)
            self.results.append(block.text if value is None else value)
            return
        self.builder.tokens(self.layout.result)
        self.builder.text(f".{block.name}" if self.layout.dot else block.name)
        self.builder.text(block.text)

    def flush(self) -> None:
        """Write the results of a bundled call: one JSON array, as Python's json writes it."""
        if self.results:
            self.builder.text(spaced_json(self.results, ascii_only=True))
        self.results = None
