"""How a conversation is framed: messages to the texts and constants that a provider bills.

Rules: recorded calls beside the usage that the provider itself reported. Which vocabulary counts is choice.py's
affair, counting is the caller's.
"""

from __future__ import annotations

from typing import Any

from pipeline.tokens.choice import Choice
from pipeline.tokens.frames import ESTIMATED, EXACT, Frame, Part


def frame_prompt(choice: Choice, endpoint: str | None, request: Any) -> Frame | None:
    """Return what a request comes to, or None where it holds nothing to count."""
    if not isinstance(request, dict):
        return None
    messages = request.get("messages")
    parts: list[Part] = []
    constant = 3000
    for message in messages if isinstance(messages, list) else []:
        if not isinstance(message, dict):
            continue
        role, name, content = (message.get(key) for key in ("role", "name", "content"))
        label = f"{role}:{name}" if isinstance(name, str) else str(role or "")
        constant += 3000
        parts += [Part(label), Part(content if isinstance(content, str) else "")]
    if not parts:
        return None
    exact = choice.family in {"gpt-4o", "gpt-4"} and endpoint in {None, "chat"}
    return Frame(
        vocabulary=choice.vocabulary,
        parts=tuple(part for part in parts if part.text),
        constant=constant,
        method=EXACT if exact else ESTIMATED,
        error=0.01 if exact else 0.3,
    )


def frame_completion(choice: Choice, endpoint: str | None, response: Any, request: Any = None) -> Frame | None:  # noqa: ARG001
    """Return what a response's visible output comes to, or None where it holds nothing to count."""
    if isinstance(response, str):
        text = response
    elif isinstance(response, dict):
        choices = response.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else response
        first = first.get("message", first) if isinstance(first, dict) else {}
        found = first.get("content", first.get("text")) if isinstance(first, dict) else None
        text = found if isinstance(found, str) else ""
    else:
        text = ""
    if not text:
        return None
    return Frame(vocabulary=choice.vocabulary, parts=(Part(text),), method=EXACT, error=0.01)
