"""What providers charge for tools where the cost map names no fee: facts, and a charge at one may be too low.

Sources: litellm_semantics.md 1.11; https://platform.openai.com/docs/pricing; https://docs.x.ai/docs/models and
/docs/guides/live-search.
"""

from __future__ import annotations

from decimal import Decimal

from callcost.prices.tariffs import GOOGLE, ListedRate

_OPENAI = frozenset({"openai", "azure"})
_XAI = frozenset({"xai"})
_FEES = (
    ("web_search_requests", GOOGLE, Decimal("0.035")),
    ("web_search_requests", frozenset({"openai"}), Decimal("0.01")),
    ("web_search_requests", _XAI, Decimal("0.005")),
    ("x_search_calls", _XAI, Decimal("0.005")),
    ("code_execution_calls", _XAI, Decimal("0.005")),
    ("search_sources", _XAI, Decimal("0.025")),
    ("file_search_calls", _OPENAI, Decimal("0.0025")),
    ("code_interpreter_sessions", _OPENAI, Decimal("0.03")),
)
# What costs nothing by itself, and why.
_DOLLARS = ListedRate(Decimal(1), "", "dollars, as the log states them")
_NOTHING = {
    "web_fetch_requests": "costs nothing but its tokens",
    "included_queries": "the fee of the request covers it",
    "included_citation_tokens": "the fee of the request covers it",
}


def usual_fee(unit: str, provider: str) -> ListedRate | None:
    """Return what a provider usually charges for a tool; None: nobody knows.

    Args:
        unit: of prices/units.py.
        provider: as cost maps spell it.
    """
    if unit in _NOTHING:
        return ListedRate(Decimal(0), "", _NOTHING[unit])
    if unit == "gateway_fee":
        return _DOLLARS
    fee = next((fee for name, providers, fee in _FEES if name == unit and provider in providers), None)
    return None if fee is None else ListedRate(fee, "", "the map names no fee: the provider's usual one", weak=True)
