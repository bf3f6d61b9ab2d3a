"""How far a count can be trusted: what calls of its kind have shown."""

from __future__ import annotations

import pytest

from callcost.tokens.error_estimates import GROUPS, MAX_CALIBRATED, MEASUREMENTS, MIN_CALLS, MIN_EXACT, estimate_error
from callcost.tokens.frame import CALIBRATED, ESTIMATED, EXACT
from callcost.tokens.model_families import FAMILIES, choose

FRAMINGS = {row.framing for row in FAMILIES} | {"other"}
SHAPES = ("plain", "tools", "form", "history", "media", "encrypted", "text", "answer.text", "answer.calls")


@pytest.mark.parametrize("kind", MEASUREMENTS)
def test_a_row_is_a_rate_of_a_familys_calls(kind: str) -> None:
    row = MEASUREMENTS[kind]
    name = kind.removeprefix("~")

    assert any(name == framing or name.startswith(f"{framing}.") for framing in FRAMINGS | set(GROUPS.values()))
    assert row.calls > 0
    assert 0 <= row.exact <= 1
    assert 0 < row.error <= 2


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-3.5-turbo", "gpt-5.2", "claude-sonnet-4-5", "qwen3-32b", "nobody"])
def test_exact_is_claimed_for_measured_kinds_only(model: str, api: str) -> None:
    choice = choose(model)
    for shape in SHAPES:
        method, error = estimate_error(choice, api, shape)
        names = (choice.framing, GROUPS.get(choice.framing, choice.framing))
        rows = [MEASUREMENTS.get(f"{name}.{kind}") for name in names for kind in (f"{api}.{shape}", shape)]
        known = [row for row in rows if row and row.calls >= MIN_CALLS]
        if method == EXACT:
            assert choice.native
            assert known[0].exact >= MIN_EXACT
        if method == CALIBRATED:
            assert error <= MAX_CALIBRATED
        assert 0 < error <= 2


def test_a_stand_in_is_never_exact() -> None:
    assert all(estimate_error(choose("qwen3-32b"), "chat", shape)[0] != EXACT for shape in SHAPES)
    assert all(estimate_error(choose("gemini-2.5-pro"), "chat", shape)[0] != EXACT for shape in SHAPES)


def test_its_own_vocabulary_makes_geminis_text_exact() -> None:
    choice = choose("gemini-2.5-pro", available=frozenset({"gemma3"}))

    assert estimate_error(choice, "chat", "plain")[0] == EXACT


def test_a_kind_without_recordings_is_estimated() -> None:
    assert estimate_error(choose("nobody"), "chat", "encrypted") == (ESTIMATED, 0.5)
