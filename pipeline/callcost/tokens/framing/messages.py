"""The two questions that everything else here serves: what does a request come to, and what does its answer?

Bodies are read by bodies.py and laid out by the family's rules (openai_layouts.py, answers.py). The count is as sure
as recorded calls of that shape have shown (error_estimates.py). Which vocabulary counts is model_families.py's affair;
counting the texts is the caller's.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from callcost.tokens.error_estimates import estimate_error, shape_of_answer, shape_of_prompt
from callcost.tokens.frame import Frame, FrameBuilder
from callcost.tokens.framing.answers import answer_layout_of, lay_out_answer
from callcost.tokens.framing.gemini import gemini_layout_of, lay_out_gemini, lay_out_gemini_answer
from callcost.tokens.framing.openai_layouts import lay_out, layout_of, serving_api
from callcost.tokens.framing.templates.choice import writers_of
from callcost.tokens.framing.turns import (
    TEXTS,
    lay_out_texts,
    lay_out_turns,
    lay_out_turns_answer,
    turn_layout_of,
)
from callcost.tokens.model_families import Choice, shows_thoughts
from callcost.tokens.reasoning import seal_of
from callcost.tokens.requests.bodies import read_answer, read_offer, read_prompt
from callcost.tokens.requests.media import media_tokens
from callcost.tokens.requests.types import CALL, TEXT, Block, Message

WRITES_TEXTS = frozenset({"ollama"})  # hosts that write an input without messages as the user's message


def frame_prompt(
    choice: Choice, endpoint: str | None, request: Any, response: Any = None, at: int | None = None
) -> Frame | None:
    """Return what a request comes to, or None where it holds nothing to count.

    Args:
        choice: how the model's text is counted.
        endpoint: which API the call went to; None: told by the body's fields.
        request: the provider's body, a list of messages, or a text.
        response: the answer, where there is one: a few prompts are billed by the shape of their answer.
        at: when the call was made (microseconds since 1970 UTC), for rules that held for a while.
    """
    prompt = read_prompt(endpoint, request)
    builder = FrameBuilder(choice.factor, choice.corrections)
    turns = turn_layout_of(choice, at)
    api = api_of(endpoint, request)
    shape = shape_of_prompt(prompt)
    if choice.provider in WRITES_TEXTS and endpoint != "embeddings" and not prompt.raw:
        prompt.messages += [Message("user", [Block(TEXT, text)]) for text in prompt.texts]
        prompt.texts = []
    if prompt.texts or prompt.tokens:
        lay_out_texts(prompt, turns or TEXTS, builder)
    elif choice.framing.startswith("gemini"):
        lay_out_gemini(prompt, gemini_layout_of(choice.framing, choice.provider, response), builder)
    elif not prompt.messages:
        return None
    elif turns is not None:
        lay_out_turns(prompt, turns, builder, writers_of(choice)[0])
    else:
        layout = layout_of(choice.framing, serving_api(api, choice.provider, choice.model), at, choice.model)
        lay_out(prompt, layout, builder)
        if layout.shares_prompt:
            builder.share = max(1, _calls(response))
    shown = [block.media for message in prompt.messages for block in message.blocks if block.media]
    for media in shown:
        builder.tokens(media_tokens(choice.model, media, alone=len(shown) == 1))
    if not builder.texts and not builder.constant:
        return None
    return builder.frame(choice.vocabulary, *estimate_error(choice, api, shape))


def frame_completion(
    choice: Choice,
    endpoint: str | None,
    response: Any,
    request: Any = None,
    at: int | None = None,
    *,
    thoughts: bool = True,
) -> Frame | None:
    """Return what an answer's output comes to, or None where it holds nothing to count.

    The reasoning that an answer shows is counted where it is all that is billed; what is hidden is in no text.

    Args:
        choice: how the model's text is counted.
        endpoint: which API the call went to; None: told by the body's fields.
        response: the provider's body, or the output text.
        request: what was asked, for the tools and the form that it names.
        at: when the call was made (microseconds since 1970 UTC), for rules that held for a while.
        thoughts: whether to count reasoning that is shown: not where its tokens are known.
    """
    answer = read_answer(response)
    prompt = read_offer(request)
    api = api_of(endpoint, request if request is not None else response)
    builder = FrameBuilder(choice.factor, choice.corrections)
    turns = turn_layout_of(choice, at)
    if choice.framing.startswith("gemini"):
        lay_out_gemini_answer(answer, gemini_layout_of(choice.framing, choice.provider, response), builder)
    elif turns is not None:
        lay_out_turns_answer(answer, prompt, turns, builder, writers_of(choice)[1])
    else:
        served = serving_api(api, choice.provider, choice.model)
        layout = answer_layout_of(choice.framing, served, choice.provider, at)
        lay_out_answer(answer, prompt, layout, builder)
    if thoughts and (seal := seal_of(choice, api)) is not None:
        for block in chain.from_iterable(answer.alternatives):
            builder.ciphertext(block.encrypted, seal.each, seal.less)
    if thoughts and shows_thoughts(choice):
        shown = [block.text for block in answer.thoughts if block.text]
        builder.tokens(turns.answer_thoughts if turns and shown else 0)
        for text in shown:
            builder.text(text)
    if not builder.texts and not builder.constant:
        return None
    return builder.frame(choice.vocabulary, *estimate_error(choice, api, shape_of_answer(answer, prompt, choice)))


def api_of(endpoint: str | None, body: Any) -> str:
    """Return which of OpenAI's two layouts a body has."""
    if endpoint in {"chat", "responses"}:
        return endpoint
    responses = isinstance(body, dict) and "messages" not in body and ("input" in body or "output" in body)
    return "responses" if responses else "chat"


def _calls(response: Any) -> int:
    alternatives = read_answer(response).alternatives
    return max((sum(block.kind == CALL for block in blocks) for blocks in alternatives), default=0)
