"""What templates have in common: the texts of a message, a tool as its server writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from callcost.tokens.frame import SPECIAL
from callcost.tokens.requests.json_values import spaced_json
from callcost.tokens.requests.types import RESULT, TEXT, THOUGHT, Block, Message, Prompt, Tool

Writer = Callable[[Prompt], str]
CallWriter = Callable[[Block], str]
_ORDER = ("type", "function", "name", "description", "strict", "parameters", "properties", "required")


def ordered(value: Any) -> Any:
    """Return a tool with the keys of its definition in the order that servers write them in; others follow."""
    if isinstance(value, dict):
        first = [key for key in _ORDER if key in value]
        return {key: ordered(value[key]) for key in dict.fromkeys([*first, *value])}
    return [ordered(inner) for inner in value] if isinstance(value, list) else value


def function_of(tool: Tool) -> dict[str, Any]:
    """Return a tool's function as the request has it, or as OpenAI would write it; servers write what is missing."""
    plain = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    written: dict[str, Any] = ordered({"description": None, **tool.given} if tool.given else plain)
    return written


def spoken(message: Message) -> str:
    """Return the texts of a message, and what tools returned, as one."""
    return "".join(block.text for block in message.blocks if block.kind in {TEXT, RESULT})


def plain(value: Any) -> str:
    """Return a JSON value as text: a string is itself."""
    return value if isinstance(value, str) else spaced_json(value)


def arguments_of(block: Block) -> str:
    """Return the arguments of a call as JSON, or as they are where they are none."""
    return block.text if block.value is None else spaced_json(block.value)


def results_of(message: Message) -> list[Block]:
    """Return what tools returned in a message."""
    return [block for block in message.blocks if block.kind == RESULT]


def thoughts_of(message: Message) -> str:
    """Return the reasoning that a message repeats."""
    return "".join(block.text for block in message.blocks if block.kind == THOUGHT).strip()


def last_question(prompt: Prompt) -> int:
    """Return the place of the user's last message that answers no call; -1: there is none."""
    asked = (n for n, message in enumerate(prompt.messages) if message.role == "user" and not results_of(message))
    return max(asked, default=-1)


def result_runs(prompt: Prompt, header: str, end: str) -> Iterator[tuple[int, Message, str]]:
    """Yield each message with its place; results that follow one another are one text."""
    pending = ""
    for place, message in enumerate(prompt.messages):
        found = results_of(message)
        pending += "".join(f"\n{SPECIAL}\n{block.text}\n{SPECIAL}" for block in found)
        after = prompt.messages[place + 1] if place + 1 < len(prompt.messages) else None
        if pending and (after is None or not results_of(after)):
            yield place, message, f"{header}{pending}{end}"
            pending = ""
        elif not found:
            yield place, message, ""
