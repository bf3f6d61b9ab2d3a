"""What counts would gain by vocabularies that are not installed."""

from __future__ import annotations

from callcost.tokens.vocabulary_needs import needs_of

MODELS = {"deepseek-r1": 7, "deepseek-chat": 2, "qwen3-32b": 20, "gpt-4o": 100, "claude-sonnet-4-5": 50}
OBTAINABLE = ("deepseek", "gemma3", "qwen3", "minimax")


def test_the_vocabulary_of_most_calls_comes_first_and_those_that_nobody_has_do_not_come() -> None:
    needs = needs_of(MODELS, frozenset(), OBTAINABLE)

    assert [(need.vocabulary, need.calls) for need in needs] == [("qwen3", 20), ("deepseek", 9)]
    assert needs[1].models == ("deepseek-chat", "deepseek-r1")
    assert needs[1].exact_now is not None
    assert needs[1].exact_then is not None
    assert needs[1].exact_then > needs[1].exact_now


def test_what_is_installed_is_not_needed() -> None:
    assert needs_of(MODELS, frozenset({"deepseek", "qwen3"}), OBTAINABLE) == []


def test_a_vocabulary_whose_stand_in_counts_as_it_does_is_not_needed() -> None:
    assert needs_of({"gemini-2.5-flash": 7}, frozenset(), OBTAINABLE) == []
