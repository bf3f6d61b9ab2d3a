"""One charge line of a call, priced.

The scalar counterpart of ``stages/pricing/price_facts.py``, for explaining a call and for checking the table's prices
one by one.
"""

from __future__ import annotations

from callcost.prices.book.book import Book, Resolution
from callcost.prices.charges import Bill, price_usage
from callcost.prices.rates import BATCH_FORMATS, Terms
from callcost.tables import SESSION_SUM, Call, Usage


def price_line(book: Book, call: Call, line: Usage) -> tuple[Resolution, Bill]:
    """Price one charge line of a call.

    Args:
        book: who knows the rates.
        call: what the rates depend on beside the line's own model and prompt.
        line: usage of one of the call's iterations, else of the call itself.

    Returns:
        What prices its model, and what it costs.
    """
    model = line.model or call.model
    requested = call.model_requested if model == call.model else None
    found = book.resolve(model, call.provider, call.started_at, region=call.region, requested=requested)
    terms = Terms(
        tier=call.service_tier,
        batch=call.source_format.endswith(BATCH_FORMATS),
        prompt_tokens=0 if SESSION_SUM in call.flags else line.prompt_tokens or 0,
        region=call.region,
        data_residency=call.data_residency,
        geo=call.inference_geo,
        speed=call.speed,
        moment=call.started_at,
    )
    rates = book.rates(found, terms)
    bill = price_usage(
        line, rates, status=call.status, usage_source=call.usage_source, billing=call.billing, flags=call.flags
    )
    return found, bill
