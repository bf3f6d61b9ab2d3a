"""How an answer comes to tokens: text, calls, and what ends or introduces them; one row per family and API.

Reasoning that is not shown is left out: providers report it apart, and no text stands for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from callcost.tokens.frame import Sheet
from callcost.tokens.framing.openai_layouts import day
from callcost.tokens.requests.types import CALL, TEXT, Answer, Block, Prompt, compact, spaced


class Ending(NamedTuple):
    """One row: what framing an answer costs, in tokens.

    Attributes:
        text: an answer with text, unless it was cut off.
        offered: more, where tools were on offer.
        form: the text's form, beside its name: "" never, "beside" tools, "always".
        call: a call, beside the tool's name and the arguments.
        named: a call that the request named, beside the arguments; the name leaves no trace. None: as any call.
        bundle: several calls, rewritten as one; None: they are single calls.
        dot: the tool's name has a dot before it.
    """

    text: int = 0
    offered: int = 0
    form: str = ""
    call: int = 0
    named: int | None = None
    bundle: int | None = None
    dot: bool = False


CHAT = Ending(offered=1, form="beside", call=7, named=0, bundle=10, dot=True)
WITH_END: dict[str, Any] = {"text": 1, "call": 8, "named": 1, "bundle": 11}  # the token that ends the answer is billed
RESPONSES = CHAT._replace(**WITH_END)
ENDINGS = {
    ("gpt-4", "chat"): CHAT,
    ("gpt-0613", "chat"): CHAT._replace(call=2),
    ("gpt-4", "responses"): RESPONSES,
    ("gpt-5", "chat"): Ending(text=3, form="always", call=10, bundle=13, dot=True),
    ("gpt-5", "responses"): Ending(text=4, form="always", call=11, bundle=14, dot=True),
}
SAME = {"gpt-3.5": "gpt-4", "gpt-0301": "gpt-4", "gpt-5.2": "gpt-5"}
HOSTS: dict[tuple[str, str], dict[str, Any]] = {
    ("azure", "chat"): WITH_END,
    ("github", "chat"): WITH_END,
    ("azure", "responses"): {"offered": 0},
}
END_SINCE, END_UNTIL = day("2025-03-18"), day("2025-05-15")  # OpenAI billed it then


def ending_of(framing: str, api: str, provider: str = "", at: int | None = None) -> Ending:
    """Return the row of a family and API; bare text where there is none.

    Args:
        framing: the family's framing.
        api: "chat" or "responses".
        provider: who was asked.
        at: when the call was made, in microseconds since 1970 UTC.
    """
    ending = ENDINGS.get((SAME.get(framing, framing), api)) or Ending()
    if SAME.get(framing, framing) != "gpt-4":
        return ending
    if ending is CHAT and at is not None and END_SINCE <= at < END_UNTIL:
        return ending._replace(**WITH_END)
    return ending._replace(**HOSTS.get((provider, api), {}))


def lay_out_answer(answer: Answer, prompt: Prompt, ending: Ending, sheet: Sheet) -> None:
    """Add an answer to a sheet.

    Args:
        answer: the answer, all its alternatives.
        prompt: what was asked, for the tools and the form that it names.
        ending: the row of its family and API.
        sheet: gathers the texts and constants.
    """
    for blocks in answer.alternatives:
        texts = [block for block in blocks if block.kind == TEXT and block.text]
        calls = [block for block in blocks if block.kind == CALL]
        for block in texts:
            sheet.text(block.text)
        if texts and not answer.cut:
            sheet.tokens(ending.text + (ending.offered if prompt.tools else 0))
            _write_form(prompt, ending, sheet)
        _write_calls(calls, prompt, ending, sheet)


def _write_form(prompt: Prompt, ending: Ending, sheet: Sheet) -> None:
    form = prompt.form
    beside = bool(prompt.tools) and prompt.tool_choice != "none"
    if form and form.schema is not None and (ending.form == "always" or (ending.form == "beside" and beside)):
        sheet.tokens(2)
        sheet.text(form.name)


def _written_anew(block: Block) -> bool:
    """Return whether a call's arguments are what Python's json writes: a bundle's are, a single call's are not."""
    return block.text != compact(block.value) and block.text == spaced(block.value)


def _write_calls(calls: list[Block], prompt: Prompt, ending: Ending, sheet: Sheet) -> None:
    if ending.bundle is not None and (len(calls) > 1 or any(_written_anew(block) for block in calls)):
        uses = [{"recipient_name": f"functions.{block.name}", "parameters": block.value} for block in calls]
        sheet.tokens(ending.bundle)
        sheet.text(compact({"tool_uses": uses}))
        return
    for block in calls:
        if prompt.tool_choice == "named" and ending.named is not None:
            sheet.tokens(ending.named)
        else:
            sheet.tokens(ending.call)
            sheet.text(f".{block.name}" if ending.dot else block.name)
        sheet.text(block.text)
