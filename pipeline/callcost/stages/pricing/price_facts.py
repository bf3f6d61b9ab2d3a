"""The batch reader of prices: a table of facts becomes a priced table of facts, and this one row per call.

Rates are settled once per distinct model, moment and terms by the same ``Book`` that the scalar reader asks
(``rate_cards.py``); what is done per row is arithmetic on whole columns (``charged_units.py``), exact, in whole
numbers of 10**-18 dollars. What makes a row priced, partly priced, free or unpriced is the table ``VERDICTS`` of
``prices/charges.py``. Most calls are one row; one with charges of its own (an advisor, an iteration) has more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import polars as pl

from callcost.prices.book.book import Book
from callcost.prices.book.corrections import NONE
from callcost.prices.charges import CALL_CONDITIONS, CARD_CONDITIONS, FLAG_CONDITIONS, VERDICTS
from callcost.prices.tariffs import MARKS
from callcost.prices.units import TOKEN_UNITS
from callcost.settings import PriceOptions
from callcost.stages.pricing.charged_units import (
    COUNTS,
    Costs,
    SideCosts,
    add_extras,
    charge_extras,
    exact_costs,
    extras_of,
    names_per_row,
    quantities,
)
from callcost.stages.pricing.cost_parts import PARTS, RESTS, Part, part_costs, rest_costs
from callcost.stages.pricing.rate_cards import RowCards, book_of, find_cards
from callcost.stages.tables.dictionary import Flag, any_of, both, flag, without
from callcost.stages.tables.facts import UID, widen_facts
from callcost.stages.tables.schemas import MONEY, Calls, Facts
from callcost.tables import CorrectedCalls

GATHERED = {**{name: Facts.types[name] for name in UID}, **Calls.types}
COSTS = ("input_cost", "output_cost", "other_cost", "total_cost")
_SUMMED = (*COSTS, *PARTS, *RESTS)
_LINE_COUNTS = ("cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens", "total_tokens")
# Verdicts below the one leave costs of 0, the others below the other leave none.
_FREE, _UNPRICED = (sum(each.costs in kinds for each in VERDICTS) for kinds in (("zero",), ("zero", "none")))


def price_facts(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Fill the price and cost columns of facts.

    Args:
        facts: columns of Facts; each row is charged for what its line_ columns say, unless it comes priced.
        book: opened with the options of the run.

    Returns:
        The same rows in the same order.
    """
    lacks = facts["price_status"].null_count()
    if lacks in {0, facts.height}:
        return _price(facts, book) if lacks else facts
    placed = facts.with_row_index("place")
    lacking = placed.filter(pl.col("price_status").is_null())
    priced = _price(lacking.drop("place"), book).with_columns(lacking["place"])
    stays = placed.filter(pl.col("price_status").is_not_null())
    return pl.concat([stays, priced.select(stays.columns)]).sort("place").drop("place")


def tally_corrected(facts: pl.DataFrame, priced: pl.DataFrame, options: PriceOptions) -> CorrectedCalls:
    """Return the calls whose cost corrections moved, and by how much; what had no price counts as 0.

    Args:
        facts: facts; of those that come priced nobody knows what they cost before.
        priced: the same rows, priced.
        options: what they were priced by.
    """
    corrected = priced["price_basis"].eq_missing("corrected") & facts["price_status"].is_null()
    if not corrected.any():
        return CorrectedCalls()
    stated = [column for column in facts.get_columns() if column.null_count() < facts.height]  # 20 of 100, mostly
    own = widen_facts(pl.DataFrame(stated).filter(corrected))
    then = price_facts(own, book_of(dataclasses.replace(options, corrections=NONE)))["total_cost"].to_physical()
    now = priced["total_cost"].filter(corrected).to_physical()
    moved = now.ne_missing(then)
    calls = int(moved.sum()) if own["line"].max() == 0 else own.select(UID).filter(moved).n_unique()
    return CorrectedCalls(calls=calls, cost=int(now.sum()) - int(then.sum()))


def _price(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    extras = extras_of(facts)
    cards = find_cards(facts, names_per_row(extras, facts.height), book)
    columns = quantities(facts)
    costs = _token_costs(columns, cards)
    charges = None if extras.is_empty() else charge_extras(extras, cards)
    if charges is not None:
        add_extras(costs, extras, charges, facts.height)
    parts = part_costs(facts, columns, charges, cards, costs.total)
    verdict = _judge(facts, costs, cards)
    words = (("price_status", [each.status for each in VERDICTS]), ("price_reason", [each.reason for each in VERDICTS]))
    judged = [pl.Series(name, values)[verdict] for name, values in words]
    priced = facts.with_columns(*judged, *_sources(cards, verdict), *_costs(facts, costs, parts, verdict))
    return priced.with_columns(rest_costs())


def _token_costs(columns: Mapping[str, pl.Series], cards: RowCards) -> Costs:
    held = {unit: flag(column > 0) for unit, column in columns.items()}
    prices = {unit: cards.prices(unit) for unit in columns}
    sums = exact_costs(columns, {unit: prices[unit].rates for unit in columns}, cards.cards) if columns else {}
    costs = Costs(total=sums.get("total"))
    for side in COUNTS:
        own = [unit for unit in columns if TOKEN_UNITS[unit].side == side]
        missing = {unit: both(held[unit], cards.flag(prices[unit].missing)) for unit in own}
        priced = any_of(*(both(held[unit], cards.flag(prices[unit].rated)) for unit in own))
        costs.sides[side] = SideCosts(sums.get(side), any_of(*missing.values()), priced)
    for mark in MARKS:
        costs.marks[mark] = any_of(*(both(held[unit], cards.flag(prices[unit].marks[mark])) for unit in columns))
    costs.zero = any_of(*(both(held[unit], cards.flag(prices[unit].zero)) for unit in columns))
    return costs


def _judge(facts: pl.DataFrame, costs: Costs, cards: RowCards) -> pl.Series:
    """Return the number of each row's verdict."""
    every = pl.repeat(True, facts.height, eager=True)
    found = pl.repeat(len(VERDICTS) - 1, facts.height, dtype=pl.UInt8, eager=True)
    for number, verdict in reversed(list(enumerate(VERDICTS[:-1]))):
        rows: Flag = every
        for name, must in verdict.conditions.items():
            rows = None if rows is None else (both if must else without)(rows, _condition(name, facts, costs, cards))
        found = found if rows is None else found.set(rows, number)
    return found


def _condition(name: str, facts: pl.DataFrame, costs: Costs, cards: RowCards) -> Flag:
    """Return the rows for which a condition of ``VERDICTS`` holds."""
    if name in CALL_CONDITIONS:
        column, word = CALL_CONDITIONS[name]
        return flag(facts[column] == word)
    if name in CARD_CONDITIONS:
        return cards.flag([name in card.conditions for card in cards.cards.values])
    if name in FLAG_CONDITIONS:
        return flag(facts["flags"].list.contains(FLAG_CONDITIONS[name]).fill_null(value=False))
    return costs.marks[name] if name in costs.marks else _ROW_CONDITIONS[name](facts, costs)


_ROW_CONDITIONS: Mapping[str, Callable[[pl.DataFrame, Costs], Flag]] = {
    "no_input": lambda facts, _: _null(facts, "input"),
    "no_output": lambda facts, _: _null(facts, "output"),
    "units": lambda _, costs: costs.units,
    "measured": lambda _, costs: costs.measured,
    "missing": lambda _, costs: any_of(*(side.missing for side in costs.sides.values())),
    "rated": lambda _, costs: any_of(*(side.priced for side in costs.sides.values())),
    "zero_charge": lambda _, costs: costs.zero,
    "cost": lambda _, costs: None if costs.total is None else flag(costs.total != 0),
}


def _null(facts: pl.DataFrame, side: str) -> Flag:
    """Return the rows that do not state how many tokens a side has; of the other side none does."""
    if side not in COUNTS:
        return pl.repeat(True, facts.height, eager=True)
    return flag(facts[COUNTS[side]].is_null())


def _sources(cards: RowCards, verdict: pl.Series) -> list[pl.Series]:
    """Return where each row's price is from; what has no charges has none but the rung."""
    rung, *sources = (cards.words(name) for name in ("rung", "basis", "version"))
    none = flag(verdict < _UNPRICED)
    if none is not None:
        sources = [pl.select(pl.when(~none).then(pl.lit(each)).alias(each.name)).to_series() for each in sources]
    return [rung, *sources]


def _costs(facts: pl.DataFrame, costs: Costs, parts: Mapping[str, Part], verdict: pl.Series) -> list[pl.Series]:
    none, zero = flag(verdict < _UNPRICED), flag(verdict < _FREE)
    columns = []
    for name, side in costs.sides.items():
        unstated = without(any_of(_null(facts, name), side.missing), side.priced)
        zeros = zero if name in COUNTS else None
        columns.append(_money(f"{name}_cost", side.cost, any_of(unstated, none), zeros, facts.height))
    columns.append(_money("total_cost", costs.total, none, zero, facts.height))
    for name, part in parts.items():
        null = any_of(part.unstated, part.unrated, none)
        columns.append(_money(name, part.cost, null, without(zero, part.unstated), facts.height))
    return columns


def _money(name: str, cost: pl.Series | None, null: Flag, zero: Flag, height: int) -> pl.Series:
    """Return costs as decimals: null where they are unknown, 0 where there are none."""
    if cost is None:
        cost = pl.zeros(height, dtype=pl.Int128, eager=True)
    value = pl.lit(cost)
    if null is not None:
        value = pl.when(~null).then(value)
    if zero is not None:
        value = pl.when(zero).then(pl.lit(0, dtype=pl.Int128)).otherwise(value)
    return pl.select(value.reinterpret(dtype=MONEY).alias(name)).to_series()


def gather_calls(facts: pl.DataFrame) -> pl.DataFrame:
    """Bring the charge lines of each call together: one row per call, the columns of Calls after UID.

    A call is as priced as its lines are: all unpriced or all free stay so, a mixture is partly priced.
    """
    if facts["lines"].max() == 1:
        return facts.select(GATHERED.keys())
    single = facts.filter(pl.col("lines") == 1).select(GATHERED.keys())
    many = facts.filter(pl.col("lines") > 1)
    if many.is_empty():
        return single
    statuses, reasons = pl.col("price_status"), pl.col("price_reason")
    status = (
        pl.when((statuses == "unpriced").all()).then(pl.lit("unpriced"))
        .when((statuses == "free").all()).then(pl.lit("free"))
        .when(statuses.is_in(["unpriced", "partly_priced"]).any()).then(pl.lit("partly_priced"))
        .otherwise(pl.lit("priced"))
    )  # fmt: skip
    lines = pl.struct(
        pl.col("line_model").alias("model"),
        pl.col("line_prompt_tokens").alias("prompt_tokens"),
        pl.col("line_completion_tokens").alias("completion_tokens"),
        "price_status",
        "total_cost",
        *(pl.col(f"line_{name}").alias(name) for name in _LINE_COUNTS),
        *(name for name in _SUMMED if name != "total_cost"),
    )
    gathered = (
        many.sort(*UID, "line")
        .group_by(UID, maintain_order=True)
        .agg(
            *[
                pl.col(name).first()
                for name in Calls.types
                if name not in {"price_status", "price_reason", "iterations", *_SUMMED}
            ],
            status.alias("price_status"),
            pl.coalesce(reasons.filter(statuses != "priced").drop_nulls().first(), reasons.drop_nulls().first()),
            lines.alias("iterations"),
            *[sum_stated(name) for name in _SUMMED],
        )
    )
    return pl.concat([single, gathered.select(GATHERED.keys()).cast(GATHERED)])  # type: ignore[arg-type]


def sum_stated(name: str) -> pl.Expr:
    """Sum what is stated; null, not 0, where nothing is."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
