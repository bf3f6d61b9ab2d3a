"""Ratios between families: none within one, both ways between two, and none that nobody has measured."""

from __future__ import annotations

from callcost.tokens.model_families import choose
from callcost.tokens.token_ratios import MIN_CALLS, RATIOS, SAME, SIDES, ratio_between


def test_counts_stay_within_a_family_and_are_not_guessed_between_unmeasured_ones() -> None:
    assert ratio_between("prompt", choose("gpt-4o"), choose("gpt-4o-mini")) == SAME
    assert ratio_between("prompt", choose("gpt-4o"), choose("acme-9")) is None


def test_a_template_that_outweighs_a_prompt_is_in_no_ratio_of_prompts() -> None:
    oss, plain = choose("gpt-oss-120b"), choose("gpt-4o")
    assert [ratio_between(side, plain, oss) is None for side in SIDES] == [True, True, False]
    assert ratio_between("prompt", oss, choose("gpt-oss-20b")) == SAME


def test_a_ratio_holds_both_ways_for_plain_text() -> None:
    there, back = (
        ratio_between("answer", choose(one), choose(other))
        for one, other in (("gpt-4o", "claude-opus-4-8"), ("claude-opus-4-8", "gpt-4o"))
    )
    assert there is not None
    assert back is not None
    assert abs(there.ratio * back.ratio / 1e12 - 1) < 0.001


def test_every_row_is_of_enough_calls_and_close_enough_to_be_of_use() -> None:
    for (side, one, other), row in RATIOS.items():
        assert side in SIDES
        assert row.calls >= 2 * MIN_CALLS
        assert 0 < row.ratio < 5_000_000
        assert 0 <= row.error <= 750_000, (side, one, other)
