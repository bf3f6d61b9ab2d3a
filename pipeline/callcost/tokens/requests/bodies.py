"""A provider's request or response body to a ``Prompt`` or an ``Answer``, told apart by the fields it has.

Bodies are foreign: every field may be missing or of another kind, and a field that is not understood counts nothing.
One conversation reader serves OpenAI chat, Anthropic, Bedrock Converse and Ollama, whose bodies differ in the shape of
tools and pieces only; Gemini and OpenAI Responses have their own. Pieces of content are read in content_blocks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from callcost.tokens.requests.content_blocks import read_blocks, read_call, read_piece, read_result
from callcost.tokens.requests.json_values import dict_of, first_of, limit_depth, list_of, text_of
from callcost.tokens.requests.tools_and_format import read_form, read_tool_choice, read_tools
from callcost.tokens.requests.types import CALL, OFFER, RESULT, TEXT, THOUGHT, Answer, Block, Message, Prompt

Body = dict[str, Any]


def read_prompt(endpoint: str | None, request: Any) -> Prompt:
    """Return what a request body shows the model; an empty prompt where it is no such body.

    Args:
        endpoint: which API the body went to, if known; only embeddings cannot be told by their fields.
        request: the body; a list of messages or a bare text will do.
    """
    body = limit_depth(request)
    if isinstance(body, (list, str)):
        body = {"messages" if isinstance(body, list) else "prompt": body}
    elif not isinstance(body, dict):
        return Prompt()
    readers = () if endpoint == "embeddings" else PROMPT_READERS
    prompt = next((reader for key, reader in readers if key in body), _texts)(body)
    _name_results(prompt.messages)
    return prompt


def read_offer(request: Any) -> Prompt:
    """Return what a request offers an answer (tools, the choice among them, its form), without the messages."""
    if not isinstance(request, dict):
        return Prompt()
    return _prompt(limit_depth({key: value for key, value in request.items() if key not in CONVERSATION}), [])


def _name_results(messages: list[Message]) -> None:
    """Give each result the name of the call it answers; most providers repeat the call's id only."""
    names: dict[str, str] = {}
    for message in messages:
        for place, block in enumerate(message.blocks):
            if block.kind == CALL and block.id:
                names[block.id] = block.name
            elif block.kind == RESULT and not block.name and block.id in names:
                message.blocks[place] = msgspec.structs.replace(block, name=names[block.id])


def _conversation(body: Body) -> Prompt:
    messages = [read_message(item) for item in list_of(body.get("messages")) if isinstance(item, dict)]
    system = read_blocks(body.get("system"))
    if system:
        messages.insert(0, Message("system", system))
    return _prompt(body, messages)


def _prompt(body: Body, messages: list[Message]) -> Prompt:
    if config := dict_of(body.get("config")):  # where Google's SDK keeps what is no content
        body = {**config, "generationConfig": config, **body}
    choice, named = read_tool_choice(body)
    more = dict_of(body.get("additionalModelRequestFields"))
    thinking = dict_of(body.get("thinking") or more.get("thinking")).get("type")
    effort = body.get("reasoning_effort") or dict_of(body.get("reasoning")).get("effort")
    single = dict_of(body.get("tool_choice")).get("disable_parallel_tool_use") is True
    partial = any(body.get(key) for key in ELSEWHERE)
    stops = any(one.get(key) for one in (body, *(dict_of(body.get(key)) for key in SETTINGS)) for key in STOPS)
    return Prompt(
        messages, read_tools(body), choice, named, single, read_form(body), thinking=thinking == "enabled",
        silent=thinking == "disabled" or effort == "none", stops=stops, partial=partial,
    )  # fmt: skip


def read_message(item: Body) -> Message:
    """Return one message of a chat, Anthropic, Converse or Ollama conversation."""
    role, name = text_of(item.get("role")), text_of(item.get("name"))
    content = item.get("content")
    if role in {"tool", "function"}:
        return Message(role, [read_result(item.get("tool_call_id"), content, name)], name)
    blocks = read_blocks(content)
    reasoning = text_of(first_of(item, "reasoning_content", "reasoning", "thinking"))
    if reasoning:
        blocks.insert(0, Block(THOUGHT, reasoning))
    if isinstance(item.get("refusal"), str):
        blocks.append(Block(TEXT, item["refusal"]))
    return Message(role, blocks + _calls(item), name)


def _calls(item: Body) -> list[Block]:
    found = item.get("function_call")
    blocks = [read_call(found.get("name"), found.get("arguments"))] if isinstance(found, dict) else []
    for call in list_of(item.get("tool_calls")):
        inner = dict_of(dict_of(call).get("function") or dict_of(call).get("custom"))
        arguments = inner.get("input") if "input" in inner else inner.get("arguments")
        if inner:
            blocks.append(read_call(inner.get("name"), arguments, call.get("id")))
    return blocks


def _responses(body: Body) -> Prompt:
    """Read OpenAI Responses: items stand where messages stand elsewhere, instructions are the first system text."""
    messages: list[Message] = []
    if body.get("instructions") and isinstance(body["instructions"], str):
        messages.append(Message("system", read_blocks(body["instructions"])))
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list_of(given)
    stored = body.get("store") is not False  # else no id of an item is known again
    for item in items:
        message = _item(item if stored else {**item, "id": None}) if isinstance(item, dict) else None
        if message and messages and _calls_only(message) and _calls_only(messages[-1]):
            messages[-1].blocks.extend(message.blocks)  # calls of one answer are items of their own
        elif message:
            messages.append(message)
    return _prompt(body, messages)


def _calls_only(message: Message) -> bool:
    return bool(message.blocks) and all(block.kind == CALL for block in message.blocks)


def _item(item: Body) -> Message | None:
    """Return a message of an item of the Responses API; None where it shows nothing at all."""
    if item.get("type") == "additional_tools":
        return Message("developer", [Block(OFFER, value=read_tools(item))])
    if "role" in item or item.get("type") == "message":
        return None if item.get("content") == [] else read_message(item)
    blocks = read_piece(item)
    role = "tool" if blocks and blocks[0].kind == RESULT else "assistant"
    return Message(role, blocks)


def _gemini(body: Body) -> Prompt:
    messages = []
    named = ("systemInstruction", "system_instruction")
    if system := first_of(body, *named) or first_of(dict_of(body.get("config")), *named):
        # Gemini counts a system text that names its role as a message, one that does not as bare text.
        role = text_of(dict_of(system).get("role"))
        messages.append(Message("system", read_blocks(dict_of(system).get("parts", system)), role))
    contents = body.get("contents")
    for item in [contents] if isinstance(contents, (dict, str)) else list_of(contents):
        if isinstance(item, str):
            messages.append(Message("user", read_blocks(item)))
        elif isinstance(item, dict):
            messages.append(Message(text_of(item.get("role")) or "user", read_blocks(item.get("parts"))))
    return _prompt(body, messages)


def _texts(body: Body) -> Prompt:
    """Read a body without messages: completions, embeddings of any API, Cohere's and Bedrock's older models."""
    given = first_of(body, *TEXT_KEYS)
    items = [given] if isinstance(given, (str, dict)) else list_of(given)
    if items and all(isinstance(item, int) for item in items):
        items = [items]  # one input as token ids
    prompt = Prompt(texts=[item for item in items if isinstance(item, str)], raw=body.get("raw") is True)
    prompt.tokens = sum(len(item) for item in items if isinstance(item, list))
    for item in items:
        if isinstance(item, dict):
            content = item.get("content", item)
            blocks = read_blocks(content.get("parts", content) if isinstance(content, dict) else content)
            prompt.texts += [block.text for block in blocks if block.kind == TEXT]
    return prompt


CONVERSATION = frozenset({"messages", "contents", "input", "prompt", "system"})
SETTINGS = ("generationConfig", "generation_config", "inferenceConfig", "options")
STOPS = ("stop", "stop_sequences", "stopSequences")
# What the provider keeps of the prompt, or makes shorter: OpenAI's, Anthropic's and Gemini's names.
ELSEWHERE = (
    "previous_response_id", "conversation", "context_management", "container", "cachedContent", "cached_content",
)  # fmt: skip
TEXT_KEYS = (
    "prompt", "input", "inputText", "inputs", "texts", "message", "query", "text", "content", "requests", "instances",
)  # fmt: skip
PROMPT_READERS: tuple[tuple[str, Callable[[Body], Prompt]], ...] = (
    ("contents", _gemini),
    ("messages", _conversation),
    ("input", _responses),
)


def read_answer(response: Any) -> Answer:
    """Return what a response body shows; an answer without alternatives where it is no such body.

    Args:
        response: the body, or the bare output text.
    """
    body = limit_depth(response)
    if isinstance(body, (str, list)):
        return Answer([read_blocks(body)])
    if not isinstance(body, dict):
        return Answer([])
    found = next((reader(body[key]) for key, reader in ANSWER_READERS if key in body), [])
    return Answer(found, _cut_off(body))


def read_limit(request: Any, response: Any) -> int | None:
    """Return what an answer has that broke off at the limit its request sets; None: it did not, or nobody knows.

    The limit is of reasoning and text together, in tokens.

    Args:
        request: the request body.
        response: the body of its one answer.
    """
    asked, answer = dict_of(request), read_answer(response)
    stopped = dict_of(dict_of(response).get("incomplete_details")).get("reason")  # a filter breaks answers off, too
    if not answer.cut or len(answer.alternatives) > 1 or stopped not in (None, "max_output_tokens"):
        return None
    places = [asked, *(dict_of(asked.get(key)) for key in _SETTINGS)]
    limits = (place.get(key) for place in places for key in _LIMITS)
    return next((limit for limit in limits if type(limit) is int and limit > 0), None)


_SETTINGS = ("generationConfig", "generation_config", "inferenceConfig")
_LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens", "maxOutputTokens", "maxTokens")


def _cut_off(body: Body) -> bool:
    items = list_of(body.get("choices")) + list_of(body.get("candidates")) or [body]
    ends = [text_of(dict_of(item).get(key)).lower() for item in items for key in _ENDINGS]
    return any(end in {"length", "max_tokens", "incomplete", "max_output_tokens"} for end in ends)


def _choices(value: Any) -> list[list[Block]]:
    choices = [dict_of(choice) for choice in list_of(value)]
    pairs = [(choice.get("message") or choice.get("delta"), choice.get("text")) for choice in choices]
    return [read_message(message).blocks if isinstance(message, dict) else read_blocks(text) for message, text in pairs]


def _output(value: Any) -> list[list[Block]]:
    """Read the items of a Responses body, or Bedrock's one message."""
    if isinstance(value, dict):
        return [read_message(dict_of(value.get("message") or value)).blocks]
    if not isinstance(value, list):
        return [read_blocks(value)]
    items = [_item(item) for item in value if isinstance(item, dict)]
    return [[block for item in items if item for block in item.blocks]]


def _candidates(value: Any) -> list[list[Block]]:
    return [read_blocks(dict_of(dict_of(item).get("content")).get("parts")) for item in list_of(value)]


def _message(value: Any) -> list[list[Block]]:
    return [read_message(value).blocks] if isinstance(value, dict) else [read_blocks(value)]


def _content(value: Any) -> list[list[Block]]:
    return [read_blocks(value)]


def _outputs(value: Any) -> list[list[Block]]:
    """Read the alternatives of Bedrock's and Cohere's older models."""
    items = [dict_of(item) for item in list_of(value)]
    texts = [first_of(item, "outputText", "text") or dict_of(item.get("data")).get("text") for item in items]
    return [read_blocks(text) for text in texts]


_ENDINGS = ("finish_reason", "stop_reason", "stopReason", "finishReason", "done_reason", "status")
ANSWER_READERS: tuple[tuple[str, Callable[[Any], list[list[Block]]]], ...] = (
    ("choices", _choices),
    ("candidates", _candidates),
    ("output", _output),
    ("message", _message),
    ("content", _content),
    *((key, _outputs) for key in ("generations", "completions", "results", "outputs")),
    *((key, _content) for key in ("generation", "completion", "response", "text")),
)
ANSWER_KEYS = frozenset((*_ENDINGS, *(key for key, _ in ANSWER_READERS)))  # all that is looked at in an answer
