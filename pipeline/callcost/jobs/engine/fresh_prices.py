"""Whether a run would gain by newer prices, and how it gets them, once, if it was told to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from callcost.errors import PriceError
from callcost.prices.book.book import AS_OF, LATEST
from callcost.prices.book.catalog import Version
from callcost.settings import PriceOptions, ReportOptions

HINT = "callcost prices pull"
_AGE = timedelta(days=7)  # of the newest version, when a call was made


def newer_prices_wanted(
    unpriced: list[dict[str, Any]], newest_call: str | None, newest: Version, options: ReportOptions
) -> dict[str, Any]:
    """Return what newer prices may be wanted for.

    Args:
        unpriced: groups of calls without a full price, as the manifest has them.
        newest_call: when the last call of the logs was made, ISO 8601; None: no call has a time.
        newest: version of the cost map.
        options: of the run.

    Returns:
        ``unknown_calls``: calls of models that no version knows. ``days_behind``: how many days the last call is later
        than the newest version; null: 7 or less. ``hint``: the command that fetches newer ones; null: none is wanted,
        or the run asks for prices of a date or version.
    """
    unknown = sum(row["calls"] for row in unpriced if row["price_reason"] == "unknown_model")
    last = None if newest_call is None else datetime.fromisoformat(newest_call)
    last = min(filter(None, (last, options.until)), default=None) if last else None
    behind = None if last is None else last - datetime.fromisoformat(newest.effective_text)
    days = behind.days if behind is not None and behind > _AGE and _follows(options.prices) else None
    wanted = (unknown or days is not None) and _follows(options.prices)
    return {"unknown_calls": unknown, "days_behind": days, "hint": HINT if wanted else None}


def _follows(prices: PriceOptions) -> bool:
    """Say whether a newer version would price the calls."""
    return prices.prices in (AS_OF, LATEST) and prices.as_known is None


def refresh_prices(options: ReportOptions, wanted: Mapping[str, Any]) -> dict[str, str | None] | None:
    """Fetch newer prices, where they are wanted and the options say so.

    Args:
        options: of the run.
        wanted: what newer_prices_wanted returned.

    Returns:
        ``added``: the version that was added; null: none was, and ``why_not``. None where nothing was asked.
    """
    if not (options.prices_refresh and wanted["hint"]):
        return None
    from callcost.net.price_maps import pull_map  # noqa: PLC0415 - the only way to the network, if asked

    try:
        added = pull_map()
    except PriceError as error:
        return {"added": None, "why_not": error.message}
    return {"added": added.version, "why_not": None if added.version else "the published map says what is known"}
