"""The one shape every provider's body is brought to before it is framed.

A ``Prompt`` is what the model was shown, an ``Answer`` what it showed in return: messages of blocks, tools, a wanted
form of answer. bodies.py fills it from a provider's own JSON; how it comes to tokens is left to messages.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

TEXT, IMAGE, AUDIO, VIDEO, DOCUMENT = "text", "image", "audio", "video", "document"
CALL, RESULT, THOUGHT, UNREAD, OFFER = "call", "result", "thought", "unread", "offer"
SPEAKERS = {"system": "system", "developer": "system", "assistant": "assistant", "model": "assistant"}


class Media(msgspec.Struct, frozen=True):
    """What is known of an image, a recording, a film or a document without fetching or decoding it."""

    kind: str
    width: int = 0  # pixels; 0: not known
    height: int = 0
    bytes: int = 0  # of the file itself; 0: not known
    detail: str = ""  # OpenAI's "low", "high", "auto"
    pages: int = 0  # of a document; 0: not known
    milliseconds: int = 0  # of a recording or a film; 0: not known


class Block(msgspec.Struct, frozen=True):
    """One piece of a message.

    Attributes:
        kind: text, image, audio, document, call, result, thought, offer (tools that come within the conversation: its
            ``value`` is a list of ``Tool``), or unread: a piece of a kind that nobody knows here.
        text: the text; the arguments of a call; what the tool of a result returned.
        name: name of the tool of a call or a result.
        value: the arguments of a call or the return of a result as a JSON value, where they are such.
        media: what is known of an image, a recording or a document.
        id: id of a call, or of the call that a result answers.
        encrypted: characters of encrypted reasoning or of a thought's signature.
        cited: whether the answer is to say where in this it found what it says.
        own_id: whether the item was sent back with the id that the provider gave it.
    """

    kind: str
    text: str = ""
    name: str = ""
    value: Any = None
    media: Media | None = None
    id: str = ""
    encrypted: int = 0
    own_id: bool = False
    cited: bool = False


class Message(msgspec.Struct):
    """One message: who speaks, under what name, and the blocks in order."""

    role: str
    blocks: list[Block]
    name: str = ""

    @property
    def speaker(self) -> str:
        """Whose the message is: "system", "assistant", or "user" for anybody else's."""
        return SPEAKERS.get(self.role, "user")


class Tool(msgspec.Struct, frozen=True):
    """One tool on offer.

    Attributes:
        name: the tool's name; "" for a provider's own tool that has none.
        description: what the tool does.
        parameters: a JSON schema, or None.
        kind: "function", "json_schema" (Gemini's second field for the parameters), or the type of a provider's tool.
        given: OpenAI's function as the request has it, or None.
        returns: a JSON schema of what the tool returns (Gemini), or None.
    """

    name: str
    description: str = ""
    parameters: Any = None
    kind: str = "function"
    given: Any = None
    returns: Any = None


class Form(msgspec.Struct, frozen=True):
    """The form an answer has to have: a JSON schema (None: any JSON object)."""

    name: str = ""
    description: str = ""
    schema: Any = None


class Prompt(msgspec.Struct):
    """What the model was shown.

    Attributes:
        messages: the messages in order, system messages among them.
        tools: the tools on offer.
        tool_choice: "", "auto", "none", "required" or "named".
        tool_named: name of the tool, where the choice is "named".
        single: whether the model may make one call only.
        form: the form of the answer, if one was asked for.
        texts: inputs that are no messages (completions, embeddings).
        tokens: number of the tokens that the inputs give as ids.
        raw: the inputs go to the model as they are, also where a host would write them as messages.
        thinking: whether the model was asked to reason.
        silent: whether the model was asked not to reason.
        stops: whether the answer may end at a text that the request names.
        partial: whether the model was shown more than stands here: what the provider keeps, or makes shorter.
    """

    messages: list[Message] = msgspec.field(default_factory=list)
    tools: list[Tool] = msgspec.field(default_factory=list)
    tool_choice: str = ""
    tool_named: str = ""
    single: bool = False
    form: Form | None = None
    texts: list[str] = msgspec.field(default_factory=list)
    tokens: int = 0
    raw: bool = False
    thinking: bool = False
    silent: bool = False
    stops: bool = False
    partial: bool = False

    def named(self, *, only: bool = False) -> str:
        """Return the one tool that the answer must call, or "".

        Args:
            only: that some tool must be called names it, where there is one only.
        """
        alone = only and len(self.tools) == 1 and self.tool_choice == "required"
        return self.tools[0].name if alone else self.tool_named


class Answer(msgspec.Struct):
    """What the model showed in return: the blocks of each alternative, and whether it was cut off."""

    alternatives: list[list[Block]]
    cut: bool = False

    @property
    def thoughts(self) -> list[Block]:
        """The blocks of reasoning, shown or sealed."""
        return [block for blocks in self.alternatives for block in blocks if block.kind == THOUGHT]

    @property
    def encrypted(self) -> int:
        """The characters of all seals: encrypted reasoning, signatures of thoughts."""
        return sum(block.encrypted for blocks in self.alternatives for block in blocks)
