"""What counts would gain by vocabularies that are not installed."""

from __future__ import annotations

from callcost.tokens.vocabulary_needs import needs_of

MODELS = {"gemini-2.5-flash": 7, "gemini-3-pro": 2, "qwen3-32b": 20, "gpt-4o": 100, "claude-sonnet-4-5": 50}
OBTAINABLE = ("gemma3", "qwen3", "minimax")


def test_the_vocabulary_of_most_calls_comes_first_and_those_that_nobody_has_do_not_come() -> None:
    needs = needs_of(MODELS, frozenset(), OBTAINABLE)

    assert [(need.vocabulary, need.calls) for need in needs] == [("qwen3", 20), ("gemma3", 9)]
    assert needs[1].models == ("gemini-2.5-flash", "gemini-3-pro")
    assert needs[1].exact_now is not None
    assert needs[1].exact_then is not None
    assert needs[1].exact_then > needs[1].exact_now


def test_what_is_installed_is_not_needed() -> None:
    assert needs_of(MODELS, frozenset({"gemma3", "qwen3"}), OBTAINABLE) == []
