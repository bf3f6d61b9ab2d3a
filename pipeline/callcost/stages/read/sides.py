"""The sides of a call whose tokens nobody states: which they are, and their frames.

Many calls say the same but for their texts: what such a call comes to is asked once, with a placeholder for each text
(``template_call``), and other texts fit into the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from callcost.logs.record.media_calls import NOT_COUNTED, WITHOUT_ANSWER_TOKENS
from callcost.prices.units import is_measure
from callcost.tables import ABORTED, Call, Usage
from callcost.tokens.frame import Frame
from callcost.tokens.framing.gemini import IMAGE_OUT
from callcost.tokens.framing.messages import api_of, frame_completion, frame_prompt
from callcost.tokens.framing.plain_chat import FrameTemplate, frame_plain, template_of
from callcost.tokens.model_families import choose
from callcost.tokens.reasoning import hides_reasoning, may_reason
from callcost.tokens.requests.bodies import read_answer
from callcost.tokens.requests.types import IMAGE

SIDES = ("prompt_tokens", "completion_tokens")
_DRAWS = re.compile(r"gemini.*image")
_NOTHING = Usage()


class CallTemplate(NamedTuple):
    """What a call comes to, without its texts.

    Attributes:
        prompt: frame of the prompt.
        completion: frame of the answer.
        answers: of each text, whether it is the answer's.
        hidden: whether it took reasoning that nobody sees.
    """

    prompt: FrameTemplate
    completion: FrameTemplate
    answers: tuple[bool, ...]
    hidden: bool


def missing_sides(call: Call) -> Sequence[str]:
    """Return the sides of a call that are billed by the token, that nothing states and whose text is there."""
    usage = call.usage
    if usage is not None:
        derive_sides(usage, call.endpoint)
    sides = SIDES[:1] if call.endpoint in WITHOUT_ANSWER_TOKENS else SIDES
    missing = sides if usage is None else [side for side in sides if getattr(usage, side) is None]
    measured = any(map(is_measure, (usage or _NOTHING).billed_units or ()))  # tools are billed beside the tokens
    otherwise_billed = bool(call.iterations) or (len(missing) == len(sides) and measured)
    stays = states_a_charge(usage) and ABORTED not in call.flags  # what is stated of a failure is all of it
    answered = call.status == "success" or (call.status == "failure" and bool(call.response) and not stays)
    answered = answered and call.endpoint not in NOT_COUNTED
    return () if otherwise_billed or not answered or call.text_missing is not None else missing


def states_a_charge(usage: Usage | None) -> bool:
    """Say whether a usage states something that has a price; a total alone has none."""
    if usage is None:
        return False
    return usage.prompt_tokens is not None or usage.completion_tokens is not None or bool(usage.billed_units)


def derive_sides(usage: Usage, endpoint: str | None) -> None:
    """Fill in what follows from what is stated: an embedding has no completion, a total and one side have the other."""
    prompt, completion, whole = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
    if endpoint in WITHOUT_ANSWER_TOKENS and completion is None and (prompt is not None or whole is not None):
        completion = usage.completion_tokens = 0
    if whole is None:
        return
    if prompt is None and completion is not None and whole >= completion:
        usage.prompt_tokens = whole - completion
    elif completion is None and prompt is not None and whole >= prompt:
        usage.completion_tokens = whole - prompt


def frame_sides(call: Call, sides: Sequence[str], available: frozenset[str]) -> dict[str, Frame]:
    """Return the frames of those sides of a call that hold something to count.

    Args:
        call: the call with its text.
        sides: names of the sides that are wanted.
        available: names of the vocabularies that are installed beside the bundled ones.
    """
    choice = choose(call.model, call.provider, call.endpoint, available)
    if len(sides) == len(SIDES):
        plain = frame_plain(choice, call.endpoint, call.request, call.response, call.started_at)
        if plain:
            return dict(zip(SIDES, plain, strict=True))
    at, thoughts = call.started_at, not (call.usage and call.usage.reasoning_tokens)
    frames = {
        side: frame_prompt(choice, call.endpoint, call.request, call.response, at)
        if side == "prompt_tokens"
        else frame_completion(choice, call.endpoint, call.response, call.request, at, thoughts=thoughts)
        for side in sides
    }
    return {side: frame for side, frame in frames.items() if frame is not None}


def template_call(call: Call, placeholders: Sequence[str], available: frozenset[str]) -> CallTemplate | None:
    """Take the placeholders out of the frames of a call that states no side.

    Args:
        call: the call, with placeholders for texts.
        placeholders: the texts, in order.
        available: names of the vocabularies that are installed beside the bundled ones.

    Returns:
        The templates; None where a side has no text, or a text is not in one of them once and unchanged.
    """
    frames = frame_sides(call, missing_sides(call), available)
    if len(frames) < len(SIDES):
        return None
    prompt, completion = (frames[side] for side in SIDES)
    choice = choose(call.model, call.provider, call.endpoint, available)
    answers = tuple(text in completion.texts for text in placeholders)
    asked = [text for text, is_answer in zip(placeholders, answers, strict=True) if not is_answer]
    answered = [text for text, is_answer in zip(placeholders, answers, strict=True) if is_answer]
    first, second = template_of(choice, prompt, asked), template_of(choice, completion, answered)
    hidden = hides_answer(call)
    if hidden and read_answer(call.response).cut:  # its limit, which may tell, is no text
        return None
    return CallTemplate(first, second, answers, hidden) if asked and answered and first and second else None


def drawn_tokens(call: Call) -> int:
    """Return the tokens of the pictures in a counted answer: they have a rate of their own, and are no text."""
    if not _DRAWS.search(call.model.lower()):
        return 0
    alternatives = read_answer(call.response).alternatives
    return IMAGE_OUT * sum(block.kind == IMAGE for blocks in alternatives for block in blocks)


def hides_answer(call: Call) -> bool:
    """Say whether a call, whose answer is counted, took reasoning that nobody sees, as far as its model is known."""
    if not may_reason(call.model.lower(), call.effort) or (call.usage and call.usage.reasoning_tokens is not None):
        return False
    choice = choose(call.model, call.provider, call.endpoint)
    api = api_of(call.endpoint, call.request if call.request is not None else call.response)
    return hides_reasoning(choice, api, call.effort, call.response)
