"""The one shape every provider's body is brought to before it is framed.

A ``Prompt`` is what the model was shown, an ``Answer`` what it showed in return: messages of blocks, tools, a wanted
form of answer. bodies.py fills it from a provider's own JSON; how it comes to tokens is left to messages.py.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

MAX_DEPTH = 60  # JSON nested deeper than this is cut off; schemas in the wild stay below 20

TEXT, IMAGE, AUDIO, DOCUMENT = "text", "image", "audio", "document"
CALL, RESULT, THOUGHT = "call", "result", "thought"


class Media(msgspec.Struct, frozen=True):
    """What is known of an image, a recording or a document without fetching or decoding it."""

    kind: str
    width: int = 0  # pixels; 0: not known
    height: int = 0
    bytes: int = 0  # of the file itself; 0: not known
    detail: str = ""  # OpenAI's "low", "high", "auto"
    pages: int = 0  # of a document; 0: not known


class Block(msgspec.Struct, frozen=True):
    """One piece of a message.

    Attributes:
        kind: text, image, audio, document, call, result or thought.
        text: the text; of a call its arguments, of a result what the tool returned.
        name: of a call or a result, the tool's name.
        value: of a call its arguments, of a result its return, as JSON values where they are such.
        media: of an image, a recording or a document.
        id: of a call, what its result refers to; of a result, the call it answers.
        encrypted: characters of encrypted reasoning or of a thought's signature.
        marked: the item was sent back with the id that the provider gave it.
    """

    kind: str
    text: str = ""
    name: str = ""
    value: Any = None
    media: Media | None = None
    id: str = ""
    encrypted: int = 0
    marked: bool = False


class Message(msgspec.Struct):
    """One message: who speaks, under what name, and the blocks in order."""

    role: str
    blocks: list[Block]
    name: str = ""


class Tool(msgspec.Struct, frozen=True):
    """One tool on offer.

    Attributes:
        name: the tool's name; "" for a provider's own tool that has none.
        description: what it does.
        parameters: a JSON schema, or None.
        kind: "function", "json_schema" (Gemini's second field for the parameters), or the type of a provider's tool.
    """

    name: str
    description: str = ""
    parameters: Any = None
    kind: str = "function"


class Form(msgspec.Struct, frozen=True):
    """The form an answer has to have: a JSON schema (None: any JSON object)."""

    name: str = ""
    description: str = ""
    schema: Any = None


class Prompt(msgspec.Struct):
    """What the model was shown.

    Attributes:
        messages: system messages among them, in order.
        tools: tools on offer.
        tool_choice: "", "auto", "none", "required" or "named".
        tool_named: the tool's name, where it is "named".
        single: the model may make one call only.
        form: the form of the answer, if one was asked for.
        texts: inputs without messages (completions, embeddings).
        tokens: inputs given as token ids.
        thinking: the model was asked to reason.
    """

    messages: list[Message] = msgspec.field(default_factory=list)
    tools: list[Tool] = msgspec.field(default_factory=list)
    tool_choice: str = ""
    tool_named: str = ""
    single: bool = False
    form: Form | None = None
    texts: list[str] = msgspec.field(default_factory=list)
    tokens: int = 0
    thinking: bool = False


class Answer(msgspec.Struct):
    """What the model showed in return: the blocks of each alternative, and whether it was cut off."""

    alternatives: list[list[Block]]
    cut: bool = False


def text_of(value: Any) -> str:
    """Return a string as it is, anything else as "" (a field of another kind holds no text)."""
    return value if isinstance(value, str) else ""


def dict_of(value: Any) -> dict[str, Any]:
    """Return an object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """Return an array as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []


def compact_json(value: Any) -> str:
    """Return a JSON value minified, as most providers write it into a prompt."""
    return _written(value, (",", ":"), ascii_only=False)


def spaced_json(value: Any, *, ascii_only: bool = False) -> str:
    """Return a JSON value as Python's json writes it, with blanks after commas and colons.

    Args:
        value: any JSON value that was read here, so no deeper than ``MAX_DEPTH``.
        ascii_only: other characters become escapes.
    """
    return _written(value, (", ", ": "), ascii_only=ascii_only)


def _written(value: Any, separators: tuple[str, str], *, ascii_only: bool) -> str:
    try:
        return json.dumps(value, ensure_ascii=ascii_only, separators=separators, default=str)
    except (TypeError, ValueError):  # an integer of more digits than Python writes, a key that is no text
        return ""


def limit_depth(value: Any) -> Any:
    """Return the value itself if it is no deeper than ``MAX_DEPTH``, else a copy cut off there."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                below += [child for child in node.values() if isinstance(child, (dict, list))]
            elif isinstance(node, list):
                below += [child for child in node if isinstance(child, (dict, list))]
        if not below:
            return value
        level = below
    return _cut(value, MAX_DEPTH)


def _cut(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return {key: _cut(child, depth - 1) for key, child in value.items()} if depth else {}
    if isinstance(value, list):
        return [_cut(child, depth - 1) for child in value] if depth else []
    return value


def parse_json(text: str) -> Any:
    """Return the JSON value that a text holds, no deeper than ``MAX_DEPTH``, or None."""
    try:
        return limit_depth(json.loads(text))
    except (ValueError, RecursionError):
        return None
