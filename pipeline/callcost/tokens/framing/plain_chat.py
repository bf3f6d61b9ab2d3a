"""The short way for ordinary chats: messages that are a role and a text, answered by a text.

What such a conversation comes to depends on the roles alone, not on the texts: the rules of messages.py are asked once
per sequence of roles, with a placeholder for each text, and their answer is kept as a template that other texts fit
into. Anything else, and everything whose texts the rules look into, goes the long way.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec.structs import replace

from callcost.tokens.frame import Frame
from callcost.tokens.framing.answers import END_SINCE, END_UNTIL
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.framing.openai_layouts import ERAS
from callcost.tokens.framing.turns import VARIANTS
from callcost.tokens.model_families import Choice
from callcost.tokens.requests.bodies import ANSWER_KEYS, CONVERSATION, ELSEWHERE, TEXT_KEYS
from callcost.tokens.vocabulary_corrections import correction_of

ROLES = frozenset({"system", "developer", "user", "assistant"})
ENDPOINTS = frozenset({"chat", None})
_MESSAGE = frozenset({"role", "content"})
# Fields of a request that the rules look into; any other is a setting and adds nothing to the prompt.
READ_FIELDS = frozenset({
    "additionalModelRequestFields", "config", "contents", "format", "function_call", "functions", "generationConfig",
    "generation_config", "inferenceConfig", "options", "outputConfig", "output_config", "output_format",
    "response_format", "stop", "stopSequences", "stop_sequences", "system", "text", "thinking", "toolConfig",
    "tool_choice", "tool_config", "reasoning", "reasoning_effort", "tools", *ELSEWHERE,
})  # fmt: skip
# Fields that, beside ``choices``, say how an answer ended, what else it shows, or who served it.
MORE_ANSWER = frozenset({"status", "candidates", "output", "provider"})
# All that the rules look into, of requests and of answers.
_SYSTEM = ("instructions", "systemInstruction", "system_instruction")
BODY_KEYS = READ_FIELDS | CONVERSATION | ANSWER_KEYS | MORE_ANSWER | {*TEXT_KEYS, *_SYSTEM}
_MORE_ENDINGS = frozenset({"stop_reason", "stopReason", "finishReason", "done_reason", "status"})
_ENDINGS = (None, "stop")
_CHANGES = {END_SINCE, END_UNTIL, *(moment for era in ERAS for moment in (era.since, era.until))}
RULE_CHANGES = sorted(_CHANGES | {variant.since for variant in VARIANTS})
PLACEHOLDER = " \n<think>\u2400{}\u2400</think> \n"  # rules that trim a text, or leave out thoughts, are found out
_CACHE_SIZE = 4_096  # templates


class FrameTemplate(NamedTuple):
    """A frame without its texts.

    Attributes:
        frame: with the texts that stand in every such conversation, and the weights of those and of its own texts.
        corrections: what a stand-in vocabulary gets wrong; a key of vocabulary_corrections.py's table.
    """

    frame: Frame
    corrections: str

    def thousandths(self, counts: Mapping[str, int | None]) -> int:
        """Return what a conversation comes to beside its own texts, in thousandths of a token.

        Args:
            counts: of the texts that stand in every such conversation.
        """
        kept = self.frame
        return kept.constant + sum(
            weight * (counts[text] or 0) for text, weight in zip(kept.texts, kept.weights, strict=False)
        )

    def fill(self, texts: list[str]) -> Frame:
        """Return the frame of these texts."""
        kept = self.frame
        corrections = sum([correction_of(self.corrections, text) for text in texts]) if self.corrections else 0
        return replace(kept, texts=(*kept.texts, *texts), constant=kept.constant + corrections)


def frame_plain(
    choice: Choice, endpoint: str | None, request: Any, response: Any, at: int | None = None
) -> tuple[Frame, Frame] | None:
    """Return what an ordinary chat's prompt and answer come to; None where it is not one.

    Args:
        choice: how the model's text is counted.
        endpoint: which API the call went to.
        request: the request body.
        response: the response body.
        at: when the call was made, microseconds since 1970 UTC.
    """
    if endpoint not in ENDPOINTS:
        return None
    asked, answer = _plain_prompt(request), read_plain_answer(response)
    if asked is None or answer is None:
        return None
    roles, texts = asked
    templates = templates_of(choice, endpoint, tuple(roles), era_of(at), bare=isinstance(response, str))
    return templates and (templates[0].fill(texts), templates[1].fill([answer]))


def era_of(at: int | None) -> int:
    """Return the number of the time in which the rules are those of a moment; -1: no moment is known."""
    return -1 if at is None else bisect.bisect_right(RULE_CHANGES, at)


def _plain_prompt(request: Any) -> tuple[list[str], list[str]] | None:
    """Return the roles and texts of a request that holds nothing else."""
    if type(request) is not dict or _has_any(request, READ_FIELDS) or "contents" in request:
        return None
    messages = request.get("messages")
    if type(messages) is not list or not messages:
        return None
    if {*map(type, messages)} != {dict} or {*map(len, messages)} != {2}:
        return None
    try:
        roles, texts = [message["role"] for message in messages], [message["content"] for message in messages]
        fit = ROLES.issuperset(roles) and {*map(type, texts)} == {str} and all(texts)
    except (KeyError, TypeError):  # TypeError: a role that cannot be hashed
        return None
    return (roles, texts) if fit else None


def _has_any(body: Mapping[str, Any], fields: frozenset[str]) -> bool:
    """Say whether any of the fields is there and holds something."""
    return not fields.isdisjoint(body) and any(body[field] for field in fields & body.keys())


def read_plain_answer(response: Any) -> str | None:
    """Return the text of an answer that holds nothing else: a body, or the text itself."""
    if type(response) is str:
        return response or None
    choices = response.get("choices") if type(response) is dict else None
    if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
        return None
    choice = choices[0]
    ended = choice.get("finish_reason") in _ENDINGS and not _has_any(choice, _MORE_ENDINGS)
    if not ended or _has_any(response, MORE_ANSWER):
        return None
    message = choice.get("message")
    return _only_text(message) if type(message) is dict else None


def _only_text(message: Mapping[str, Any]) -> str | None:
    """Return a message's text where it holds nothing else."""
    text = message.get("content")
    if type(text) is not str or not text or message.get("role") != "assistant":
        return None
    if len(message) > 2 and any(value for key, value in message.items() if key not in _MESSAGE):
        return None
    return text


@lru_cache(maxsize=_CACHE_SIZE)
def templates_of(
    choice: Choice, endpoint: str | None, roles: tuple[str, ...], era: int, *, bare: bool = False
) -> tuple[FrameTemplate, FrameTemplate] | None:
    """Ask the rules once what a prompt of such roles and its answer come to; None where they do something with a text.

    Args:
        choice: how the model's text is counted.
        endpoint: which API the call went to; one of ENDPOINTS.
        roles: the roles of the messages, in order.
        era: number of the time in which the call was made, as ``era_of`` gives it.
        bare: whether the answer is a text and no body.
    """
    if not ROLES.issuperset(roles):
        return None
    at = None if era < 0 else RULE_CHANGES[era - 1] if era else RULE_CHANGES[0] - 1
    placeholders = [PLACEHOLDER.format(number) for number in range(len(roles))]
    pairs = zip(roles, placeholders, strict=True)
    request = {"messages": [{"role": role, "content": text} for role, text in pairs]}
    answer = PLACEHOLDER.format("answer")
    message = {"role": "assistant", "content": answer}
    response = answer if bare else {"choices": [{"finish_reason": "stop", "message": message}]}
    prompt = template_of(choice, frame_prompt(choice, endpoint, request, response, at), placeholders)
    completion = template_of(choice, frame_completion(choice, endpoint, response, request, at), [answer])
    return (prompt, completion) if prompt and completion else None


def template_of(choice: Choice, frame: Frame | None, placeholders: Sequence[str]) -> FrameTemplate | None:
    """Take the placeholders out of a frame; None where one is not there once, unchanged, at the weight of a text."""
    if frame is None:
        return None
    fixed: Counter[str] = Counter()  # equal texts, such as roles, are one with the sum of their weights
    own = []
    for text, weight in zip(frame.texts, frame.weights, strict=True):
        if text in placeholders:
            own.append((text, weight))
        else:
            fixed[text] += weight
    alike = sorted(own) == sorted((placeholder, choice.factor) for placeholder in placeholders)
    if not alike or any("\u2400" in text for text in fixed):
        return None
    weighed = sum(correction_of(choice.corrections, placeholder) for placeholder in placeholders)
    weights = (*fixed.values(), *[choice.factor] * len(placeholders))
    kept = replace(frame, texts=tuple(fixed), weights=weights, constant=frame.constant - weighed)
    return FrameTemplate(kept, choice.corrections)
