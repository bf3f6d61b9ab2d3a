"""Counts whole requests and answers as the report does: frames from the rules, texts by the bundled vocabularies."""

from __future__ import annotations

from typing import Any

from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.frame import Frame, total
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.model_families import choose


def count(frame: Frame | None) -> int | None:
    """Return the tokens of a frame; None where there is none."""
    if frame is None:
        return None
    return total(frame, load_encoder(frame.vocabulary).count(frame.texts))


def count_prompt(model: str, request: Any, endpoint: str | None = None, **more: Any) -> int | None:
    """Return what a request comes to."""
    return count(frame_prompt(choose(model, endpoint=endpoint), endpoint, request, **more))


def count_answer(model: str, response: Any, endpoint: str | None = None, **more: Any) -> int | None:
    """Return what an answer comes to."""
    return count(frame_completion(choose(model, endpoint=endpoint), endpoint, response, **more))


def texts_of(frame: Frame | None) -> list[str]:
    """Return the texts of a frame, in order."""
    return list(frame.texts) if frame else []


def write_user(text: str) -> list[dict[str, str]]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]
