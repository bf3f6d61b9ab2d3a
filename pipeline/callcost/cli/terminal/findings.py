"""What the checks of a new cost map found, for people and for programs: suspicious prices, jumps, fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from callcost.cli.terminal.listing import plain, show_block, show_json
from callcost.cli.terminal.output import show
from callcost.prices.book.changes import MapChange, PriceChange
from callcost.prices.book.cost_map import Entry
from callcost.prices.upstream.checks import Findings
from callcost.prices.upstream.gate import Suspicion
from callcost.settings import ReportOptions


class Logs(NamedTuple):
    """Calls, and how they are read: whether progress is shown, too."""

    options: ReportOptions
    quiet: bool


def show_addition(
    version: str | None, found: Findings | None, why_not: str, form: str, moved: Mapping[tuple[str, str], Decimal]
) -> None:
    """Say what became of a map, and what is remarkable about it.

    Args:
        version: that it became; None: nothing was added.
        found: what the checks found; None: the map is not modified.
        why_not: why nothing was added.
        form: "text" or "json".
        moved: what suspicious prices move, in US dollars by model and field; {}: nobody asked.
    """
    if form == "json":
        about: dict[str, Any] = {"refusals": [], "unplaced": {}, "jumps": [], "change": None, "suspicions": []}
        if found is not None:
            about = {"refusals": found.refusals, "unplaced": found.unplaced, "change": found.change._asdict(),
                    "jumps": [price._asdict() for price in found.jumps],
                    "suspicions": suspicion_rows(found.suspicions, moved)}  # fmt: skip
        show_json({"added": version, "modified": found is not None, **about})
        return
    if found is None:
        show("nothing new: the map has not changed since it was last pulled")
        return
    show(f"added {version}" if version else f"nothing added: {why_not}")
    show(summary_of(found.change))
    for reason in found.refusals:
        show(f"looks wrong: {reason}")
    show_suspicions(found.suspicions, moved)
    jumps = [(price.model, price.field, plain(price.old), plain(price.new), times_of(price)) for price in found.jumps]
    titles = ("model", "field", "before", "after", "times")
    show_block("prices that moved more than threefold or are gone", titles, jumps, titles[2:])
    show_block("cost fields that are not understood", ("field", "models"), list(found.unplaced.items()), ("models",))


def price_for_logs(
    found: Sequence[Suspicion], entries: Mapping[str, Entry], logs: Logs | None
) -> dict[tuple[str, str], Decimal]:
    """Return by model and field what suspicious prices move for some calls; {}: there are none."""
    if logs is None or not found:
        return {}
    from callcost.cli.terminal.summary import watched  # noqa: PLC0415 - rich and Polars load when logs are read
    from callcost.jobs.price_suspicions import price_suspicions  # noqa: PLC0415

    return watched(price_suspicions, logs.options, found, entries, quiet=logs.quiet)


def show_suspicions(found: Sequence[Suspicion], moved: Mapping[tuple[str, str], Decimal]) -> None:
    """List suspicious prices, those that move the most money first."""
    titles = ["model", "field", "before", "after", *(["moves $"] if moved else []), "why"]
    rows = [
        [each.model, each.field, plain(each.old), plain(each.new),
         *([plain(moved[each.model, each.field])] if moved else []), each.words]
        for each in sorted(found, key=lambda each: -abs(moved.get((each.model, each.field), Decimal(0))))
    ]  # fmt: skip
    show_block("prices that are suspicious", titles, rows, titles[2:-1])


def suspicion_rows(found: Sequence[Suspicion], moved: Mapping[tuple[str, str], Decimal]) -> list[dict[str, Any]]:
    """Return suspicious prices for JSON."""
    return [{**each._asdict(), "moves": moved.get((each.model, each.field))} for each in found]


def summary_of(change: MapChange) -> str:
    """Return in words how much of a map changed."""
    models = len({price.model for price in change.prices})
    return (
        f"{len(change.added):,} models added, {len(change.dropped):,} dropped, "
        f"{len(change.prices):,} prices of {models:,} models changed"
    )


def times_of(change: PriceChange) -> str:
    """Return how many times the old price the new one is; "" where one is missing."""
    return "" if change.ratio is None else plain(Decimal(f"{change.ratio:.3g}"))
