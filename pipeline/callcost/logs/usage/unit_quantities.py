"""What a usage object states beside tokens: quantities as exact decimals, and what Perplexity's numbers mean.

Where they stand is in spellings.py, what they cost in prices/.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from callcost.logs.values.json import Refusal
from callcost.tables import EXACT, LAST_PLACE, MAX_COUNT, MONEY_SCALE

Units = dict[str, Decimal]
SEARCHES = "web_search_requests"
GATEWAY_FEE = "gateway_fee"
_RUN = "server_tool_calls"
_SIZES = ("low", "medium", "high")
_SIZE, _QUERIES = "search_context_size", "num_search_queries"
_PAID_BY_QUERY = "deep-research"  # in the name of the models that pay for queries and citations, and not for requests
_INCLUDED = {SEARCHES: "included_queries", "citation_tokens": "included_citation_tokens"}


def read_quantities(found: Mapping[str, Any]) -> Units:
    """Return what is stated of each unit; 0 and what is empty is left out.

    Args:
        found: unit -> number as written; seconds may have a fraction.

    Raises:
        Refusal: ``bad_count`` or ``count_out_of_range``.
    """
    return drop_zeros({unit: read_quantity(value, unit) for unit, value in found.items()})


def drop_zeros(units: Units) -> Units:
    """Return the units of which there are any."""
    return {unit: quantity for unit, quantity in units.items() if quantity}


def read_quantity(value: Any, unit: str) -> Decimal:
    """Return a quantity exactly, to as many places as money has; that of an empty cell is 0.

    Raises:
        Refusal: ``bad_count`` or ``count_out_of_range``.
    """
    if value != value:  # noqa: PLR0124 - the NaN of a table's empty cell
        return Decimal(0)
    try:
        quantity = Decimal(str(value).strip() or 0)
        if isinstance(value, bool) or quantity < 0:
            raise InvalidOperation
    except InvalidOperation:
        raise Refusal("bad_count", f"{unit} is no quantity") from None
    if quantity > MAX_COUNT:
        raise Refusal("count_out_of_range", unit)
    exact = quantity.as_tuple().exponent >= -MONEY_SCALE  # type: ignore[operator]  # it is finite
    return quantity if exact else EXACT.quantize(quantity, LAST_PLACE)


def settle_searches(units: Units, body: Mapping[str, Any], model: str) -> Units:
    """Return units with searches as they are billed.

    OpenRouter counts a search among the tools that it ran. At Perplexity Deep Research pays by query and citation, all
    other models once a request, by the size of its search context, "low" where none was asked for.
    Source: https://docs.perplexity.ai/getting-started/pricing.

    Args:
        units: as its usage states them.
        body: the usage.
        model: who answered, in lower case.
    """
    if _RUN in units:
        units = units | {_RUN: max(units[_RUN] - units.get(SEARCHES, 0), Decimal(0))}
        units = {unit: number for unit, number in units.items() if number}
    if _PAID_BY_QUERY in model or not (_SIZE in body or _QUERIES in body):
        return units
    return {_INCLUDED.get(unit, unit): number for unit, number in units.items()} | request_fee(body.get(_SIZE))


def request_fee(size: Any) -> Units:
    """Return the unit of Perplexity's fee of a request with a size of search context; "low" where it is none."""
    return {f"{SEARCHES}_{size if size in _SIZES else _SIZES[0]}": Decimal(1)}


def pays_for_requests(model: str) -> bool:
    """Tell whether a model is one of Perplexity's that pay for requests."""
    return "sonar" in model and _PAID_BY_QUERY not in model


def join_units(shown: Units, stated: Units) -> Units:
    """Return what a body shows and what its usage states; of one thing what is stated, of whatever size."""
    return {unit: n for unit, n in shown.items() if not any(each.startswith(unit) for each in stated)} | stated
