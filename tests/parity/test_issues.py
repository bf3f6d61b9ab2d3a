"""Costs that LiteLLM's own issues report as wrong: read from its log, the call costs what the issue says is right.

The records are the cases of that name; rates are those that the issue reckons with.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from callcost.prices.book.cost_map import entry_of
from callcost.prices.charges import price_usage
from callcost.prices.rates import RateCard, Terms, case_of
from callcost.prices.tariffs import read_tariff
from tests.logs.outcomes import calls_of, read_file

CASES = Path(__file__).parents[1] / "cases" / "litellm_standard"
_SONNET = {
    "litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
    "cache_read_input_token_cost": 3e-07, "cache_creation_input_token_cost": 3.75e-06,
}  # fmt: skip
_GEMINI = {
    "litellm_provider": "vertex_ai", "mode": "chat", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
    "cache_read_input_token_cost": 6.25e-07,
}  # fmt: skip
_GROK = {
    "litellm_provider": "xai", "mode": "chat", "input_cost_per_token": 2e-06, "output_cost_per_token": 6e-06,
    "cache_read_input_token_cost": 5e-07, "input_cost_per_image_token": 2e-06,
}  # fmt: skip
ISSUES = {
    # Writes billed as writes and as input; the console says 0.05439.
    "issue_9812_cache_writes_are_not_billed_twice": (_SONNET, "0.054399", "0.091311"),
    # Reads billed as reads and as text, whose count includes them; reckoned without the rates above 200,000 tokens.
    "issue_14849_cache_reads_are_not_billed_twice": (_GEMINI, "0.184918125", "0.7642"),
    # Reads of an image billed as reads and as image.
    "issue_37407_cached_images_are_not_billed_twice": (_GROK, "0.003092", "0.005318"),
    # Writes beyond a partial split billed at nothing: 33,100 of 34,300.
    "issue_42663_a_split_smaller_than_the_total": (_SONNET, "0.340908", None),
}


@pytest.mark.parametrize(("name", "issue"), ISSUES.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_what_an_issue_reports_as_wrong_is_right_here(name: str, issue: tuple[dict[str, object], str, str]) -> None:
    entry, right, wrong = issue
    tariff = read_tariff(entry_of(entry))
    calls = calls_of(read_file(CASES / name / "record.jsonl"))

    for call in calls:
        assert call.usage is not None
        terms = Terms(prompt_tokens=call.usage.prompt_tokens or 0)
        assert price_usage(call.usage, RateCard(tariff, case_of(tariff, terms))).total_cost == Decimal(right)

    assert wrong is None or calls[0].logged_cost == Decimal(wrong)
