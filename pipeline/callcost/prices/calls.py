"""One call, priced: what it is about to the book, and the cases in which nothing needs a price.

The scalar counterpart of ``stages/pricing/price_facts.py``, for explaining a call and for checking the table's prices
one by one.
"""

from __future__ import annotations

from typing import NamedTuple

from callcost.prices.book.book import Book, Resolution
from callcost.prices.charges import CACHE_HIT, FAILED_CALL, NO_USAGE, TIMED_OUT, UNKNOWN_MODEL, Bill, price_usage
from callcost.prices.rates import BATCH_FORMATS, RateCard, Terms
from callcost.tables import Call, Usage


class PricedLine(NamedTuple):
    """A charge line of a call with all that led to its price.

    Attributes:
        resolution: what prices its model.
        terms: what its rates depend on.
        card: the rates; None: the model is unknown.
        bill: what it costs, or why there is no price.
    """

    resolution: Resolution
    terms: Terms
    card: RateCard | None
    bill: Bill


_NOTHING = (0, 0, None, 0)


def price_call(book: Book, call: Call) -> list[PricedLine]:
    """Price every charge line of a call: each of its iterations, else the call itself."""
    return [price_line(book, call, line) for line in call.iterations or [call.usage or Usage()]]


def price_line(book: Book, call: Call, line: Usage) -> PricedLine:
    """Price one charge line of a call."""
    model = line.model or call.model
    requested = call.model_requested if model == call.model else None
    found = book.resolve(model, call.provider, call.started_at, region=call.region, requested=requested)
    terms = Terms(
        tier=call.service_tier,
        batch=call.source_format.endswith(BATCH_FORMATS),
        prompt_tokens=line.prompt_tokens or 0,
        region=call.region,
        data_residency=call.data_residency,
        geo=call.inference_geo,
        speed=call.speed,
        moment=call.started_at,
    )
    card = book.rates(found, terms)
    return PricedLine(found, terms, card, _bill(call, line, card))


def _bill(call: Call, line: Usage, card: RateCard | None) -> Bill:
    tokens = line.prompt_tokens is not None or line.completion_tokens is not None
    stated = tokens or any(amount > 0 for amount in (line.billed_units or {}).values())
    if call.status == "cache_hit":
        return Bill("free", CACHE_HIT, scaled=_NOTHING)
    if call.status == "failure" and not stated:
        return Bill("free", FAILED_CALL, scaled=_NOTHING)
    if call.usage_source == "absent" or not stated:
        return Bill("unpriced", NO_USAGE)
    if card is None:
        return Bill("unpriced", UNKNOWN_MODEL)
    return price_usage(line, card, timed_out=call.usage_source == TIMED_OUT)
