"""OpenAI's layout of a prompt: role and name, tools and form as text blocks, calls and results with their own headers.

One row of ``LAYOUTS`` per family and API; every constant was read off recorded usage (see error_estimates.py for how
often each shape comes out exact). What the blocks look like is written in tool_schemas.py and answer_schema.py, what an
image costs in media.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from callcost.tokens.frame import FrameBuilder
from callcost.tokens.framing.answer_schema import write_form
from callcost.tokens.framing.tool_schemas import write_tools
from callcost.tokens.requests.json_values import compact_json, parse_json, spaced_json
from callcost.tokens.requests.types import CALL, RESULT, TEXT, THOUGHT, Block, Message, Prompt


class Layout(NamedTuple):
    """One row: what framing costs, in tokens.

    Attributes:
        start: every prompt, for the header of the answer.
        message: each message, beside its role and text.
        assistant: more for each assistant message.
        joined: tools and form are joined to the first system text, else they stand alone.
        stripped: joined, the system text loses the blanks at its end.
        apart: where they stand alone, each is tokenized by itself.
        alone: tools and form where there is no system text to join.
        tools: more for the block of tools.
        form: more for the block of the form.
        form_beside: more for the block of the form beside tools.
        form_named: an assistant's header repeats the form's name, at this much and the name; None: it does not.
        form_first: so does the header of the answer to come.
        none: the tool choice "none".
        named: a named tool choice, beside the name; None: it leaves no trace.
        call: a call's header, beside the tool's name and the arguments.
        result: a result's header, beside the tool's name and the content.
        parallel: several calls at once; with ``bundled`` their header, else what they cost more.
        bundled: several calls at once are rewritten as one, and so are their results.
        parallel_call: each of several calls at once and its result, where they are not bundled.
        kept: a call sent back with its own id.
        dotted: a result's header names the tool with a dot before it.
        rewritten: arguments are written anew, minified, else as they were sent.
        plain_tools: tools in the layout of 2023, with the descriptions of the first level only.
        encrypted: thousandths of a token per character of encrypted reasoning after the last user message.
        encrypted_less: tokens fewer for each item of it.
        shared: the prompt is divided by the number of calls in the answer, where there are several.
    """

    start: int = 3
    message: int = 3
    assistant: int = 0
    joined: bool = True
    stripped: bool = False
    apart: bool = False
    alone: int = 4
    tools: int = -1
    form: int = 0
    form_beside: int = 0
    form_named: int | None = 2
    form_first: bool = True
    none: int = 1
    named: int | None = 7
    call: int = 8
    result: int = 5
    parallel: int = 20
    bundled: bool = True
    parallel_call: int = 13
    kept: int = 0
    dotted: bool = False
    rewritten: bool = True
    plain_tools: bool = False
    encrypted: int = 0
    encrypted_less: int = 0
    shared: bool = False


CHAT = Layout()
CHAT_5 = Layout(
    start=2, assistant=2, stripped=True, apart=True, alone=1, tools=84, form=3, form_first=False, none=0, named=None,
    call=10, result=9, parallel=26,
)  # fmt: skip
RESPONSES = Layout(
    joined=False, apart=True, alone=0, tools=-3, form=1, form_beside=1, form_named=None, call=6, result=5,
    parallel=0, bundled=False, parallel_call=11, kept=3, dotted=True, rewritten=False,
)  # fmt: skip
RESPONSES_5 = RESPONSES._replace(
    start=2, assistant=2, tools=3, form=0, form_beside=0, none=0, named=None, call=9, result=8, parallel=0,
    parallel_call=17, kept=0, encrypted=178, encrypted_less=168,
)  # fmt: skip
O_SERIES = CHAT._replace(start=2, alone=1, tools=3, none=0, named=None, call=11, result=9, dotted=True)
GPT_OSS = CHAT_5._replace(start=62, tools=10, form=0)
LAYOUTS = {
    ("gpt-oss", "chat"): GPT_OSS,
    ("o-series", "chat"): O_SERIES,
    ("o-series", "responses"): RESPONSES_5,
    ("gpt-4", "chat"): CHAT,
    ("gpt-3.5", "chat"): CHAT,
    ("gpt-0613", "chat"): CHAT._replace(plain_tools=True, named=4, call=7, result=3),
    ("gpt-0301", "chat"): CHAT._replace(message=4),
    ("gpt-4", "responses"): RESPONSES,
    ("gpt-5", "chat"): CHAT_5,
    ("gpt-5.2", "chat"): CHAT_5,
    ("gpt-5", "responses"): RESPONSES_5,
    ("gpt-5.2", "responses"): RESPONSES_5._replace(call=11, result=9, parallel=22, parallel_call=14),
}


class Era(NamedTuple):
    """What was different for a while; moments in microseconds since 1970 UTC."""

    framing: str
    api: str
    since: int
    until: int
    changes: dict[str, Any]


def day(text: str) -> int:
    """Return the start of a day (UTC) in microseconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


# Seen in recordings: the first weeks of the Responses API, and answers with several calls in the winter of 2025.
ERAS = (
    Era("gpt-4", "responses", 0, day("2025-04-10"), {"start": 21, "tools": 195, "kept": 0}),
    Era("gpt-4", "responses", day("2025-10-08"), day("2026-03-01"), {"shared": True}),
)


def layout_of(framing: str, api: str, at: int | None) -> Layout:
    """Return the row of a family and API at a moment; that of gpt-4 where the family has none.

    Args:
        framing: the family's framing.
        api: "chat" or "responses".
        at: when the call was made, in microseconds since 1970 UTC; None: the rules of today.
    """
    layout = LAYOUTS.get((framing, api)) or LAYOUTS.get((framing, "chat")) or LAYOUTS["gpt-4", api]
    for era in ERAS:
        if at is not None and (era.framing, era.api) == (framing, api) and era.since <= at < era.until:
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
        self.constrained = self.form if not free and layout.form_named is not None else None

    def start(self) -> None:
        """Write the header of the answer to come, and tools and form or keep them for a system text."""
        self.builder.tokens(self.layout.start)
        if self.layout.form_first:
            self.header()
        found = self.blocks()
        if not found:
            return
        if self.layout.joined and any(message.speaker == "system" for message in self.prompt.messages):
            self.pending = "\n\n" + "\n\n".join(found)
            return
        self.builder.tokens(self.layout.alone)
        for text in found if self.layout.apart else ["\n\n".join(found)]:
            self.builder.text(text)

    def blocks(self) -> list[str]:
        """Return the texts of tools and form, and add what framing them costs."""
        layout, prompt, builder = self.layout, self.prompt, self.builder
        found = []
        if prompt.tools:
            found.append(write_tools(prompt.tools, plain=layout.plain_tools))
            builder.tokens(layout.tools)
            if prompt.tool_choice == "none":
                builder.tokens(layout.none)
            elif prompt.tool_choice == "named" and layout.named is not None:
                builder.tokens(layout.named)
                builder.text(f".{prompt.tool_named}")
        if self.form:
            found.append(write_form(self.form))
            builder.tokens(layout.form_beside if prompt.tools else layout.form)
        return found

    def header(self) -> None:
        """Write what an assistant's header holds beside the role: the form its text must have."""
        if self.constrained:
            self.builder.tokens(self.layout.form_named or 0)
            self.builder.text(self.constrained.name)

    def message(self, message: Message) -> None:
        """Write one message: its text, then its calls or results."""
        calls = [block for block in message.blocks if block.kind == CALL]
        results = [block for block in message.blocks if block.kind == RESULT]
        texts = [block for block in message.blocks if block.kind == TEXT]
        if not results:
            self.flush()
        if texts or not message.blocks or any(block.media for block in message.blocks if block.kind != RESULT):
            self.text(message, texts)
        if len(calls) > 1:
            self.parallel(calls)
        elif calls:
            self.call(calls[0], self.layout.call + (self.layout.kept if calls[0].marked else 0))
            self.builder.text(f":{message.name}" if message.name else "")
        for block in results:
            self.result(block)

    def reasoning(self, message: Message) -> None:
        """Write reasoning that is put back into the prompt: a guess from the length of its ciphertext."""
        for block in message.blocks:
            if block.kind == THOUGHT and block.encrypted:
                self.builder.ciphertext(block.encrypted, self.layout.encrypted, self.layout.encrypted_less)

    def text(self, message: Message, texts: list[Block]) -> None:
        """Write a message's text; the first system text carries the blocks."""
        self.builder.tokens(self.layout.message)
        self.builder.text(f"{message.role}:{message.name}" if message.name else message.role)
        if message.role == "assistant":
            self.builder.tokens(self.layout.assistant)
            self.header()
        pieces = [block.text for block in texts]
        if self.pending and message.speaker == "system":
            whole = "".join(pieces)
            whole = whole.rstrip() if self.layout.stripped else whole
            pieces = [whole + self.pending]
            self.pending = ""
        for piece in pieces:
            self.builder.text(piece)

    def call(self, block: Block, header: int) -> None:
        """Write one call: the tool's name and the arguments."""
        self.builder.tokens(header)
        self.builder.text(f".{block.name}")
        again = self.layout.rewritten and isinstance(block.value, (dict, list))
        self.builder.text(compact_json(block.value) if again else block.text)

    def parallel(self, calls: list[Block]) -> None:
        """Write several calls at once: bundled as the one call that they are to the model, or one by one."""
        self.builder.tokens(self.layout.parallel)
        if self.layout.bundled:
            self.builder.text(write_bundle(calls))
            self.results = []
            return
        for block in calls:
            self.call(block, self.layout.parallel_call - self.layout.result)

    def result(self, block: Block) -> None:
        """Write one result, or keep it for the one message that answers a bundled call."""
        if self.results is not None:
            value = parse_json(block.text)
            self.results.append(block.text if value is None else value)
            return
        self.builder.tokens(self.layout.result)
        self.builder.text(f".{block.name}" if self.layout.dotted else block.name)
        self.builder.text(block.text)

    def flush(self) -> None:
        """Write the results of a bundled call: one JSON array, as Python's json writes it."""
        if self.results:
            self.builder.text(spaced_json(self.results, ascii_only=True))
        self.results = None
