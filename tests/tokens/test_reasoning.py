"""Which models reason, and whether their answers show it."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.tokens.model_families import choose
from callcost.tokens.reasoning import hides_reasoning, may_reason

TEXT = {"choices": [{"message": {"role": "assistant", "content": "Yes."}}]}
SHOWN = {"choices": [{"message": {"role": "assistant", "content": "Yes.", "reasoning_content": "Is it? It is."}}]}
BARE = {"output": [{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"text": "Yes."}]}]}
SEALED = {"output": [{"type": "reasoning", "summary": [], "encrypted_content": "A" * 2000}]}
PLAIN = {"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}]}


@pytest.mark.parametrize(
    ("model", "effort", "may"),
    [
        ("gpt-4o", None, False), ("gpt-4o", "high", False), ("gpt-5-chat-latest", "low", False),
        ("gpt-5", None, True), ("openai/gpt-5-mini-2025-08-07", "minimal", True), ("gpt-5", "none", False),
        ("gpt-5.2", None, False), ("gpt-5.2", "high", True), ("gpt-5.2-pro", None, True), ("gpt-5.6", None, True),
        ("o3", None, True), ("openai/o4-mini", "low", True), ("gpt-4o1", None, False),
        ("gemini-2.5-flash", None, True), ("gemini-2.5-flash", "0", False), ("gemini-2.5-flash", "-1", True),
        ("gemini-2.5-flash-lite", None, False), ("gemini-2.5-flash-lite", "512", True),
        ("gemini-2.0-flash", None, False),
        ("grok-4-fast-non-reasoning", None, False), ("grok-4", None, True), ("grok-2", None, False),
        ("deepseek-reasoner", None, True), ("deepseek-chat", None, False), ("qwen3-32b", None, False),
        ("acme-thinker-1", "high", True), ("acme-thinker-1", None, False),
    ],
)  # fmt: skip
def test_a_model_reasons_by_its_line_and_by_what_was_asked(model: str, effort: str | None, *, may: bool) -> None:
    assert may_reason(model, effort) is may


@pytest.mark.parametrize(
    ("model", "api", "answer", "hides"),
    [
        ("gpt-5", "chat", TEXT, True),
        ("gpt-5", "responses", BARE, True),
        ("gpt-5", "responses", PLAIN, False),  # an item stands for each time that it reasoned
        ("gpt-5", "responses", SEALED, False),
        ("deepseek-reasoner", "chat", SHOWN, False),
        ("deepseek-reasoner", "chat", TEXT, False),  # its own body would show it
        ("deepseek-reasoner", "chat", "Yes.", True),
        ("deepseek-r1", "chat", "<think>Is it?</think>Yes.", False),
        ("claude-sonnet-4-5", "chat", TEXT, False),  # it has a block wherever it thought
        ("claude-sonnet-4-5", "chat", {"content": [{"type": "thinking", "thinking": "So."}]}, True),  # a summary
    ],
)
def test_reasoning_is_hidden_where_neither_text_nor_seal_tells(
    model: str, api: str, answer: dict[str, Any] | str, *, hides: bool
) -> None:
    assert hides_reasoning(choose(model), api, None, answer) is hides
