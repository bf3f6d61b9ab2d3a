"""Prices for a table of calls that a program has in memory."""

from __future__ import annotations

import polars as pl

from callcost.errors import ConfigError
from callcost.prices.book.registered import with_registered
from callcost.settings import PriceOptions
from callcost.stages.pricing.price_facts import gather_calls, price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.tables.call_frames import CHARGED, Frame, collect_frame, read_frame
from callcost.stages.tables.published_calls import priced_lines


def price_calls(calls: Frame, prices: PriceOptions | None = None) -> pl.DataFrame:
    """Add to each call what it cost: exact decimals of US dollars, as a report of the same calls has them.

    Args:
        calls: a row per call: a DataFrame or LazyFrame of Polars, or what else speaks Arrow (pandas, pyarrow). Columns
            have the names of calls.parquet: ``model``, ``started_at``, ``prompt_tokens`` (including cache reads and
            writes), ``completion_tokens`` (including reasoning) and so on; what is missing is null, others stay.
        prices: which rates apply; None: of each call those in force when it was made.

    Returns:
        The same rows in the same order, with ``price_status``, ``price_reason`` and the like, and the columns of costs.
        A row that is no call is "unpriced", by the reason why a log's is rejected. What is priced already stays so.

    Raises:
        ConfigError: a column is missing, of a wrong type, or looks like a count and is none.
        PriceError: there are no such prices.

    Example:
        >>> calls = pl.DataFrame({"model": ["gpt-4o"], "prompt_tokens": [1000], "completion_tokens": [100]})
        >>> price_calls(calls)["price_status"].to_list()
        ['priced']
    """
    table = collect_frame(calls)
    frame = read_frame(table)
    if prices is not None and prices != PriceOptions() and frame.is_priced:
        raise ConfigError("the calls are priced already", hint="Drop price_status and the costs to price them anew")
    rows = frame.calls.with_row_index("place")
    bad = frame.faults["reason"].is_not_null()
    lacks_price = rows["price_status"].is_null()
    asked = rows.filter(lacks_price & ~bad)
    lines = price_facts(priced_lines(asked, {}), book_of(with_registered(prices or PriceOptions())))
    priced = gather_calls(lines).select(CHARGED).with_columns(asked["place"])
    refused = rows.filter(lacks_price & bad).with_columns(
        pl.lit("unpriced").alias("price_status"), frame.faults.filter(lacks_price & bad)["reason"].alias("price_reason")
    )
    parts = [each.select("place", *CHARGED) for each in (priced, refused, rows.filter(~lacks_price))]
    charges = pl.concat(parts).sort("place").drop("place")
    return table.drop(CHARGED, strict=False).hstack(charges)
