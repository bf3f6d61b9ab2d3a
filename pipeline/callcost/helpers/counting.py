"""How many tokens a text or a conversation has, with LiteLLM's names: token_counter and async_token_counter.

The rules are those of the reports (tokens/), so that a helper and a report never differ: whole strings, the framing
of the model's own provider, tools and schemas as they are billed. The switches (``disable_token_counter`` and the
three of the asynchronous counter) are attributes of the package, read at each call. Nothing is fetched: an image
behind a URL counts as one of unknown size.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

import callcost
from callcost.errors import ArgumentError, CallcostError
from callcost.helpers import parameters
from callcost.helpers.text import encoder_of
from callcost.tables import Call
from callcost.tokens.engines.encoders import Encoder, load_encoder
from callcost.tokens.engines.vocabularies import installed
from callcost.tokens.frame import ESTIMATED, UNIT, Frame, FrameBuilder, total
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.model_families import Choice, choose

if TYPE_CHECKING:
    import asyncio

    from callcost.tokens.engines.async_counting import CountingThreads

SLICE_CHARS = 5_000  # half a millisecond of counting between two turns of the event loop
DEFAULT_IMAGE_TOKENS = 250  # LiteLLM's, with use_default_image_token_count
_IMAGES = ("image_url", "image", "input_image")  # not a set: what stands in their place may be a list
_ENDPOINT = "chat"  # whose shape LiteLLM's messages have

logger = logging.getLogger("callcost")


@dataclasses.dataclass(frozen=True, slots=True)
class _Count:
    """What is to be counted: a frame's texts, with what encoder, and tokens that no text accounts for."""

    frame: Frame
    load: Callable[[], Encoder]
    extra: int = 0

    def bytes(self) -> int:
        """Size of what is counted, in UTF-8."""
        texts = self.frame.texts
        return sum(len(text) if text.isascii() else len(text.encode(errors="surrogatepass")) for text in texts)

    def here(self) -> int:
        """Count in this thread."""
        return self.total(self.load().count(self.frame.texts))

    def total(self, counts: Sequence[int]) -> int:
        """Tokens, given those of each text."""
        return max(0, total(self.frame, counts) + self.extra)


def token_counter(
    model: str = "",
    custom_tokenizer: Mapping[str, Any] | None = None,
    text: str | Sequence[str] | None = None,
    messages: Sequence[Any] | None = None,
    count_response_tokens: bool | None = False,
    tools: Sequence[Any] | None = None,
    tool_choice: Any = None,
    use_default_image_token_count: bool | None = False,
    default_token_count: int | None = None,
    *,
    response_format: Any = None,
) -> int:
    """Count the tokens of a text, or of a conversation as the model's provider bills it.

    Args:
        model: the model's name, with or without a provider's prefix.
        custom_tokenizer: what ``create_tokenizer`` returns; counts instead of the model's own vocabulary.
        text: a text, or a list of strings that are one text together.
        messages: a conversation, in the shape of OpenAI's chat.
        count_response_tokens: True (or None): the messages are an answer; what frames a request is left out.
        tools: tools on offer, in OpenAI's, Anthropic's or Gemini's shape.
        tool_choice: "auto", "none", "required" or a named function.
        use_default_image_token_count: count 250 for every image, whatever its size.
        default_token_count: what to return where counting fails.
        response_format: the form the answer must have, in the shape of OpenAI's chat.

    Returns:
        Tokens; 0 while ``callcost.disable_token_counter`` is True.

    Raises:
        ArgumentError: neither or both of text and messages are given, tools stand beside text, or one is of the wrong
            type; names it; also a ValueError.
        TokenizerError: there is no such tokenizer, and no ``default_token_count``.

    >>> token_counter(model="gpt-4o", text="hello world")
    2
    >>> token_counter(model="gpt-4o", messages=[{"role": "user", "content": "hello world"}])
    9
    """
    if callcost.disable_token_counter is True:
        return 0
    request = _request(text, messages, tools, tool_choice, response_format)
    try:
        return _prepare(model, custom_tokenizer, request, count_response_tokens, use_default_image_token_count).here()
    except CallcostError:
        if default_token_count is None:
            raise
        return default_token_count


def count_answer(model: str, call: Call) -> int:
    """Count what the answer of a call shows, as a report does; 0 while ``callcost.disable_token_counter`` is True."""
    choice = choose(model, endpoint=call.endpoint, available=installed())
    frame = frame_completion(choice, call.endpoint, call.response, call.request)
    if frame is None or callcost.disable_token_counter is True:
        return 0
    return _Count(frame, functools.partial(load_encoder, choice.vocabulary)).here()


async def async_token_counter(
    model: str = "",
    custom_tokenizer: Mapping[str, Any] | None = None,
    text: str | Sequence[str] | None = None,
    messages: Sequence[Any] | None = None,
    count_response_tokens: bool | None = False,
    tools: Sequence[Any] | None = None,
    tool_choice: Any = None,
    use_default_image_token_count: bool | None = False,
    default_token_count: int | None = None,
    *,
    response_format: Any = None,
) -> int:
    """Count as ``token_counter`` does, large inputs in a thread, so that the event loop goes on.

    What is counted is smaller than ``callcost.async_tokenizer_threshold_bytes`` (UTF-8; None: always): counted here.
    Else in one of ``callcost.tokenizer_threadpool_max_workers`` threads, at most one per core; if all of them are
    busy, here. After ``callcost.tokenizer_timeout_seconds`` (None or 0: never) in a thread: 0, and an error is logged.

    Args and Raises: those of ``token_counter``.

    Returns:
        Tokens; 0 after a timeout, and while ``callcost.disable_token_counter`` is True.
    """
    if callcost.disable_token_counter is True:
        return 0
    request = _request(text, messages, tools, tool_choice, response_format)
    try:
        count = _prepare(model, custom_tokenizer, request, count_response_tokens, use_default_image_token_count)
        threshold = callcost.async_tokenizer_threshold_bytes
        if threshold is None or count.bytes() < threshold:
            return count.here()
        return await _count_in_thread(count)
    except CallcostError:
        if default_token_count is None:
            raise
        return default_token_count


async def _count_in_thread(count: _Count) -> int:
    """Count in a free thread within the time limit; here, slice by slice, if no thread is free."""
    import asyncio  # noqa: PLC0415 - 50 ms; whoever awaits this has it already

    seconds = callcost.tokenizer_timeout_seconds or 0.0
    threads = counting_threads()
    job = threads.start(count.load, count.frame.texts, seconds)
    if job is None:
        return await _count_between_turns(count)
    try:
        counts = await asyncio.wait_for(asyncio.wrap_future(job.result), seconds or None)
        return count.total(counts)
    except TimeoutError:
        logger.error("counting %d bytes took more than %s seconds: 0 tokens", count.bytes(), seconds)
        return 0
    finally:
        threads.drop(job)


async def _count_between_turns(count: _Count) -> int:
    """Count here, one slice of all that is counted so in each turn of the event loop."""
    import asyncio  # noqa: PLC0415 - as above

    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    encoder = count.load()
    counts = []
    for text in count.frame.texts:
        counts.append(0)
        for piece in encoder.slices(text, SLICE_CHARS):
            async with turn:
                counts[-1] += encoder.count([piece])[0]
                await asyncio.sleep(0.0005)  # not 0: who never sleeps comes last where cores are scarce
    return count.total(counts)


_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()
_threads: CountingThreads | None = None
_making = threading.Lock()


def counting_threads() -> CountingThreads:
    """Return the process's counting threads: as many as the package's setting says now, at most one per core."""
    from callcost.tokens.engines.async_counting import CountingThreads  # noqa: PLC0415 - 30 ms for those who await large counts

    global _threads  # noqa: PLW0603 - made on first use, and anew when the setting changes
    size = max(1, min(callcost.tokenizer_threadpool_max_workers, os.cpu_count() or 1))
    with _making:
        if _threads is None or _threads.size != size:
            if _threads is not None:
                _threads.retire()
            _threads = CountingThreads(size)
        return _threads


def _request(
    text: str | Sequence[str] | None,
    messages: Sequence[Any] | None,
    tools: Sequence[Any] | None,
    tool_choice: Any,
    response_format: Any,
) -> str | dict[str, Any]:
    """Check what goes with what; return the text, or the request that the messages make."""
    if (text is None) == (messages is None):
        raise ArgumentError("give either text or messages")
    if messages is None:
        if tools or tool_choice or response_format:
            raise ArgumentError("tools, tool_choice and response_format go with messages, not with text")
        return text if isinstance(text, str) else "".join(parameters.texts("text", text))
    body = {
        "messages": [_as_dict(message) for message in parameters.items("messages", messages)],
        "tools": parameters.items("tools", tools),
        "tool_choice": tool_choice,
        "response_format": response_format,
    }
    for name, value in body.items():
        parameters.check_keys(name, value)
    return {key: value for key, value in body.items() if value or key == "messages"}


def _as_dict(message: Any) -> Any:
    """Return a message object (LiteLLM's, OpenAI's) as the dictionary it stands for."""
    if isinstance(message, Mapping):
        return dict(message)
    dump = getattr(message, "model_dump", None)
    return dump(exclude_none=True) if callable(dump) else message


def _prepare(
    model: str,
    custom_tokenizer: Mapping[str, Any] | None,
    request: str | dict[str, Any],
    as_answer: bool | None,
    default_images: bool | None,
) -> _Count:
    """Bring a text or a request to the texts and tokens that it comes to."""
    model = parameters.text("model", model)
    load = functools.partial(encoder_of, model, custom_tokenizer)
    choice = choose(model, endpoint=_ENDPOINT, available=installed())
    if custom_tokenizer is not None:  # it stands for the family's own vocabulary
        choice = choose(model, endpoint=_ENDPOINT, available=installed() | {choice.wanted})
    if isinstance(request, str):
        return _Count(_frame_text(choice, request), load)
    extra = 0
    if default_images:
        request, images = _without_images(request)
        extra += images * DEFAULT_IMAGE_TOKENS
    if as_answer is not False:
        request = {"messages": request["messages"]}
    primer = _primer(choice)
    frame = frame_prompt(choice, _ENDPOINT, request) if request["messages"] else None
    if frame is None:
        frame = Frame(vocabulary=choice.vocabulary, constant=primer)
    if as_answer is not False:
        frame = replace(frame, constant=frame.constant - primer)
    return _Count(frame, load, extra)


def _frame_text(choice: Choice, text: str) -> Frame:
    """Return a text by itself, counted as the texts of a conversation are."""
    builder = FrameBuilder(choice.factor, choice.corrections)
    builder.text(text)
    return builder.frame(choice.vocabulary, ESTIMATED, 1.0)


@functools.lru_cache(maxsize=256)
def _primer(choice: Choice) -> int:
    """Return what frames a request whatever its messages, in thousandths of a token: two messages less one."""
    message = {"role": "user", "content": "."}
    one, two = (frame_prompt(choice, _ENDPOINT, {"messages": [message] * count}) for count in (1, 2))
    return 2 * one.constant - two.constant if one and two else 3 * UNIT


def _without_images(request: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return a request without its images, and how many there were."""
    images = 0
    messages = []
    for message in request["messages"]:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            kept = [piece for piece in content if not (isinstance(piece, dict) and piece.get("type") in _IMAGES)]
            images += len(content) - len(kept)
            message = {**message, "content": kept}  # noqa: PLW2901 - the same message, less its images
        messages.append(message)
    return {**request, "messages": messages}, images
