"""The short way for ordinary chats: messages that are a role and a text, answered by a text.

What such a conversation comes to depends on the roles alone, not on the texts: the rules of messages.py are asked once
per sequence of roles, with a mark in the place of each text, and their answer is kept as a skeleton that other texts
fit into. Anything else, and everything whose texts the rules look into, goes the long way.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.tokens.answers import END_SINCE, END_UNTIL
from pipeline.tokens.choice import Choice
from pipeline.tokens.frames import Frame, Part
from pipeline.tokens.messages import frame_completion, frame_prompt
from pipeline.tokens.openai import ERAS

_ROLES = frozenset({"system", "developer", "user", "assistant"})
_MESSAGE = frozenset({"role", "content"})
# Fields of a request that add nothing to its prompt.
_SETTINGS = frozenset({
    "messages", "model", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stream", "user", "seed",
    "stop",
})  # fmt: skip
_ENDINGS = (None, "stop")
_BORDERS = sorted({END_SINCE, END_UNTIL, *(moment for era in ERAS for moment in (era.since, era.until))})
_MARK = " \n\u2400{}\u2400 \n"  # blanks around it: rules that trim a text are found out
_KEPT = 4_096  # skeletons


class Skeleton(NamedTuple):
    """A frame without its texts.

    Attributes:
        frame: with the parts that do not depend on the texts.
        places: of each text, its weight, in the order of the texts.
    """

    frame: Frame
    places: tuple[int, ...]

    def fill(self, texts: Sequence[str]) -> Frame:
        """Return the frame of these texts."""
        own = tuple(map(Part, texts, self.places))
        kept = self.frame
        return Frame(
            vocabulary=kept.vocabulary,
            parts=kept.parts + own,
            constant=kept.constant,
            method=kept.method,
            error=kept.error,
            share=kept.share,
        )


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
    if choice.marks or endpoint not in {"chat", None}:
        return None
    asked, answer = _plain_prompt(request), _plain_answer(response)
    if asked is None or answer is None:
        return None
    roles, texts = asked
    era = -1 if at is None else bisect.bisect_right(_BORDERS, at)
    skeletons = _learn(choice, endpoint, tuple(roles), isinstance(response, str), era)
    return skeletons and (skeletons[0].fill(texts), skeletons[1].fill((answer,)))


def _plain_prompt(request: Any) -> tuple[list[str], list[str]] | None:
    if type(request) is not dict or not request.keys() <= _SETTINGS:
        return None
    messages = request.get("messages")
    if type(messages) is not list or not messages:
        return None
    roles, texts = [], []
    for message in messages:
        if type(message) is not dict or message.keys() != _MESSAGE:
            return None
        role, text = message["role"], message["content"]
        if type(role) is not str or role not in _ROLES or type(text) is not str or not text:
            return None
        roles.append(role)
        texts.append(text)
    return roles, texts


def _plain_answer(response: Any) -> str | None:
    if type(response) is str:
        return response or None
    choices = response.get("choices") if type(response) is dict else None
    if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
        return None
    if choices[0].get("finish_reason") not in _ENDINGS or response.keys() & {"status", "candidates", "output"}:
        return None
    message = choices[0].get("message")
    return _only_text(message) if type(message) is dict else None


def _only_text(message: Mapping[str, Any]) -> str | None:
    """Return a message's text where it holds nothing else."""
    text = message.get("content")
    more = any(value for key, value in message.items() if key not in _MESSAGE)
    return text if type(text) is str and text and message.get("role") == "assistant" and not more else None


@lru_cache(maxsize=_KEPT)
def _learn(
    choice: Choice, endpoint: str | None, roles: tuple[str, ...], bare: bool, era: int
) -> tuple[Skeleton, Skeleton] | None:
    """Ask the rules once; None where they do something with a text."""
    at = None if era < 0 else _BORDERS[era - 1] if era else _BORDERS[0] - 1
    marks = [_MARK.format(number) for number in range(len(roles))]
    request = {"messages": [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]}
    answer = _MARK.format("answer")
    message = {"role": "assistant", "content": answer}
    response = answer if bare else {"choices": [{"finish_reason": "stop", "message": message}]}
    prompt = _skeleton(frame_prompt(choice, endpoint, request, response, at), marks)
    completion = _skeleton(frame_completion(choice, endpoint, response, request, at), [answer])
    return (prompt, completion) if prompt and completion else None


def _skeleton(frame: Frame | None, marks: Sequence[str]) -> Skeleton | None:
    if frame is None:
        return None
    weights = {part.text: part.weight for part in frame.parts}
    fixed: Counter[str] = Counter()  # equal texts, such as roles, are one part with the sum of their weights
    for part in frame.parts:
        if part.text not in marks:
            fixed[part.text] += part.weight
    seen_once = sum(part.text in marks for part in frame.parts) == len(marks)
    if not seen_once or not weights.keys() >= set(marks) or any("\u2400" in text for text in fixed):
        return None
    return Skeleton(_with_parts(frame, tuple(map(Part, fixed, fixed.values()))), tuple(map(weights.__getitem__, marks)))


def _with_parts(frame: Frame, parts: tuple[Part, ...]) -> Frame:
    return Frame(
        vocabulary=frame.vocabulary, parts=parts, constant=frame.constant, method=frame.method, error=frame.error,
        share=frame.share,
    )  # fmt: skip
